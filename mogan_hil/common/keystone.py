# SPDX-License-Identifier: Apache-2.0
"""Keystone: who we are to it, and which projects it knows. Options are those of keystonemiddleware."""

from __future__ import annotations

from urllib.parse import quote

from keystoneauth1 import adapter, loading, plugin, session
from keystoneauth1 import exceptions as ksa_exceptions
from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_log import log

from mogan_hil.common import exception

LOG = log.getLogger(__name__)

GROUP = "keystone_authtoken"
SERVICE_TYPE = "baremetal-isolation"

#: Seconds. A request may wait for some of these one after another, and a thread of the API waits with it.
TIMEOUT = 3


class ConfigurationError(Exception):
    """[keystone_authtoken] is not complete. The text is one sentence for people."""


def configure(conf: cfg.ConfigOpts) -> plugin.BaseAuthPlugin:
    """Register the options of [keystone_authtoken], with defaults that fit this service.

    :returns: the account of the service at Keystone
    :raises ConfigurationError: something is missing
    """
    for group, options in auth_token.list_opts():
        conf.register_opts(options, group=group)
    conf.set_default("http_connect_timeout", TIMEOUT, group=GROUP)
    conf.set_default("http_request_max_retries", 1, group=GROUP)
    conf.set_default("service_type", SERVICE_TYPE, group=GROUP)
    conf.set_default("service_token_roles_required", True, group=GROUP)
    try:
        account = loading.load_auth_from_conf_options(conf, GROUP)
    except ksa_exceptions.MissingRequiredOptions as error:
        missing = ", ".join(option.dest for option in error.options)
        raise ConfigurationError(f"[{GROUP}] needs {missing} to ask Keystone about tokens.") from None
    except ksa_exceptions.NoMatchingPlugin as error:
        raise ConfigurationError(f"[{GROUP}] auth_type is {error.name!r}, which is not installed.") from None
    if account is None:
        raise ConfigurationError(
            f"[{GROUP}] needs auth_type = password, auth_url and the service's user to ask Keystone about tokens; "
            "or choose another [auth] strategy."
        )
    if conf[GROUP].www_authenticate_uri is None:
        # Else the middleware asks Keystone for it, whenever it refuses somebody.
        conf.set_default("www_authenticate_uri", getattr(account, "auth_url", None), group=GROUP)
    return account


class Projects:
    """Keystone's projects.

    :raises ConfigurationError: see :func:`configure`
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        account = configure(conf)
        settings = conf[GROUP]
        verify = False if settings.insecure else settings.cafile or True
        cert = (settings.certfile, settings.keyfile) if settings.keyfile else settings.certfile
        self._client = adapter.Adapter(
            session.Session(account, verify=verify, cert=cert, timeout=settings.http_connect_timeout),
            service_type="identity",
            interface=settings.interface,
            region_name=settings.region_name,
            version="3",
        )

    def exists(self, project_id: str, token: str | None) -> bool:
        """Whether there is such a project, as far as the caller may know.

        Keystone tells it to administrators and to those of the project. What it does not tell is taken on trust.

        :param token: the caller's
        :raises exception.IdentityUnavailable: Keystone cannot be asked
        """
        path = f"/projects/{quote(project_id, safe='')}"
        headers = {"X-Auth-Token": token or ""}
        try:
            answer = self._client.get(path, headers=headers, authenticated=False, raise_exc=False)
        except ksa_exceptions.ClientException as error:
            LOG.error("Keystone cannot be asked for a project: %s", error)
            raise exception.IdentityUnavailable() from None
        if answer.status_code == 200:
            return not answer.json()["project"].get("is_domain", False)
        if answer.status_code in (401, 403):
            LOG.info("Keystone does not tell the caller whether there is a project %s", project_id)
            return True
        if answer.status_code != 404:
            LOG.error("Keystone answered %s when asked for a project", answer.status_code)
            raise exception.IdentityUnavailable()
        return False
