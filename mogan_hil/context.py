# SPDX-License-Identifier: Apache-2.0
"""Who asks, and on behalf of which project."""

from __future__ import annotations

from typing import Any

from oslo_context import context


class RequestContext(context.RequestContext):
    """The caller of one request, as the authentication middleware left it in the WSGI environment."""

    @property
    def token_roles(self) -> list[str]:
        """The roles, in lower case."""
        return [role.lower() for role in self.roles or []]

    def credentials(self) -> dict[str, Any]:
        """What policy rules see of the caller. What the caller has not is left out: as None it would match "None"."""
        known = {
            "user_id": self.user_id,
            "project_id": self.project_id,
            "system_scope": self.system_scope,
            "domain_id": self.domain_id,
        }
        return {"roles": self.token_roles, **{name: value for name, value in known.items() if value is not None}}


def system_context(request_id: str | None = None) -> RequestContext:
    """The service itself, for what nobody asked for."""
    return RequestContext(roles=["admin"], system_scope="all", request_id=request_id, overwrite=False)
