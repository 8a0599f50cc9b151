# SPDX-License-Identifier: Apache-2.0
"""The identity of a caller in a WSGI environment, in the headers that keystonemiddleware documents.

https://docs.openstack.org/keystonemiddleware/latest/middlewarearchitecture.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

_OURS = (
    "HTTP_X_USER",
    "HTTP_X_PROJECT",
    "HTTP_X_DOMAIN",
    "HTTP_X_ROLE",
    "HTTP_X_TENANT",
    "HTTP_X_IDENTITY",
    "HTTP_X_SERVICE",
    "HTTP_X_IS_ADMIN",
    "HTTP_OPENSTACK_SYSTEM_SCOPE",
    "HTTP_X_AUTH_TOKEN",
    "HTTP_AUTHORIZATION",
)


#: In the environment from when it says nothing any more that a client made up. No header can be called so.
CHECKED = "mogan_hil.identity"


def strip(environ: dict[str, Any], keep: Collection[str] = ()) -> None:
    """Forget whatever a client says of its own identity, but for the headers to keep."""
    for name in [name for name in environ if name.startswith(_OURS) and name not in keep]:
        del environ[name]
    environ[CHECKED] = True


def confirm(
    environ: dict[str, Any],
    *,
    user_id: str,
    user_name: str,
    project_id: str | None,
    project_name: str | None,
    roles: Iterable[str],
) -> None:
    """Say who asks."""
    environ |= {
        "HTTP_X_IDENTITY_STATUS": "Confirmed",
        "HTTP_X_USER_ID": user_id,
        "HTTP_X_USER_NAME": user_name,
        "HTTP_X_ROLES": ",".join(roles),
    }
    if project_id is not None:
        environ |= {"HTTP_X_PROJECT_ID": project_id, "HTTP_X_PROJECT_NAME": project_name or ""}
