# SPDX-License-Identifier: Apache-2.0
"""The REST API, as its users reach it: a session, an endpoint, and errors that can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import keystoneauth1.exceptions as ksa_exceptions
from keystoneauth1 import adapter, http_basic
from keystoneauth1 import session as ksa_session

SERVICE_TYPE = "baremetal-isolation"
USER_AGENT = "mogan-hil-client"

#: Items that one page is asked for; the service may give fewer.
PAGE = 1000

#: Fields that are, or have, secrets: such requests are not shown to who debugs.
SECRET = {"password", "options", "obm", "admin_password", "user_data", "files"}


class ApiError(Exception):
    """The service refused, or could not be reached. Its text is one sentence for people.

    :ivar status: the HTTP status, None where there was no answer
    :ivar code: the stable code of the error, empty where the answer has none
    :ivar brief: the text without the request
    """

    def __init__(self, text: str, status: int | None = None, code: str = "", brief: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.brief = brief or text


class Api:
    """One user's view of one service.

    :param client: whose endpoint ends with `/v1`
    """

    def __init__(self, client: adapter.Adapter) -> None:
        self._client = client

    def locate(self) -> None:
        """Find out where the service is, with or without `/v1` in the catalog.

        :raises ApiError: nobody says
        """
        try:
            url = self._client.get_endpoint()
        except ksa_exceptions.CatalogException:
            url = None
        except ksa_exceptions.ClientException as error:
            raise _unreachable(error) from error
        if url is None:
            where = {name: getattr(self._client, name) for name in ("region_name", "interface")}
            raise ApiError(
                f"The catalog has no service of type {SERVICE_TYPE} ({where['region_name'] or 'any region'},"
                f" {where['interface']}). An address for it can be given as baremetal_isolation_endpoint_override"
                " in clouds.yaml or as --os-baremetal-isolation-endpoint-override."
            )
        url = url.rstrip("/")
        self._client.endpoint_override = url if url.endswith("/v1") else f"{url}/v1"

    def call(self, method: str, *path: str, body: Mapping[str, Any] | None = None, **query: str) -> Any:
        """One request. Each part of the path is quoted.

        :returns: the JSON value of the answer, None where it has no body
        :raises ApiError: refused, or no answer
        """
        answer = self._request(method, path, body, query)
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise ApiError(f"{method} {'/'.join(path)}: the answer is not JSON; is this the right address?") from None

    def text(self, *path: str, **query: str) -> str:
        """What is not JSON: the record of a console. See :meth:`call`."""
        found: str = self._request("GET", path, None, query).content.decode("utf-8", "replace")
        return found

    def _request(
        self, method: str, path: Sequence[str], body: Mapping[str, Any] | None, query: Mapping[str, str]
    ) -> Any:
        for part in path:
            # An address with such a part means another thing: that above.
            if part in ("", ".", ".."):
                raise ApiError(f"There is nothing called {part!r}.", 404, "not_found")
        url = "/" + "/".join(quote(part, safe="") for part in path) + (f"?{urlencode(query)}" if query else "")
        options: dict[str, Any] = {} if body is None else {"json": body, "log": not SECRET & body.keys()}
        try:
            answer = self._client.request(url, method, raise_exc=False, **options)
        except ksa_exceptions.ClientException as error:
            raise _unreachable(error) from error
        if answer.status_code >= 400:
            raise refusal(answer, f"{method} {url}")
        return answer

    def get(self, *path: str, **query: str) -> Any:
        """See :meth:`call`."""
        return self.call("GET", *path, body=None, **query)

    def pages(self, key: str, *path: str, **query: str) -> Iterator[Any]:
        """Every item of a list, page by page.

        :param key: the name of the list in the answer
        """
        query.setdefault("limit", str(PAGE))
        while True:
            body = self.get(*path, **query)
            yield from body[key]
            # Only the marker is taken from the link: its host may be one that a proxy hides.
            marker = parse_qs(urlsplit(body.get("next", "")).query).get("marker")
            if not marker:
                return
            query["marker"] = marker[0]


def _unreachable(error: Exception) -> ApiError:
    # urllib3's part of the text says the same once more.
    return ApiError(f"The service cannot be reached: {str(error).partition(': HTTP')[0]}")


def refusal(answer: Any, request: str) -> ApiError:
    """What an answer with a status from 400 on says.

    :param request: its method and path
    """
    request_id = answer.headers.get("X-Openstack-Request-Id", "")
    code, detail = "", f"HTTP status {answer.status_code}"
    try:
        first = answer.json()["errors"][0]
        code, detail = first["code"], first["detail"]
    except (ValueError, LookupError, TypeError):
        pass
    known = ", ".join(part for part in (str(answer.status_code), code, request_id) if part)
    brief = f"{detail} ({known})"
    return ApiError(f"{request}: {brief}", answer.status_code, code, brief)


def _api(session: Any, endpoint: str | None, project: str | None, **options: Any) -> Api:
    headers = {"X-Project-Id": project} if project else {}
    return Api(
        adapter.Adapter(
            session,
            service_type=SERVICE_TYPE,
            endpoint_override=endpoint,
            additional_headers=headers,
            user_agent=USER_AGENT,
            status_code_retries=3,
            retriable_status_codes=[503],
            **options,
        )
    )


def by_password(url: str, user: str, password: str, project: str | None = None, timeout: float = 60) -> Api:
    """A service with auth `local`.

    :param url: where it listens, with or without `/v1`
    :param project: the name or uuid of the project to act for, where the user has several
    """
    url = url.rstrip("/").removesuffix("/v1")
    auth = http_basic.HTTPBasicAuth(endpoint=url, username=user, password=password)
    return _api(ksa_session.Session(auth=auth, timeout=timeout), f"{url}/v1", project)


def by_cloud(name: str | None, project: str | None = None) -> Api:
    """A service that clouds.yaml or the usual OS_ environment variables name.

    :param name: the cloud; None for the one of OS_CLOUD
    :raises ApiError: there is no such cloud, or it is not complete
    """
    from openstack import config, exceptions  # it takes a third of a second, which --url and --help need not wait for

    try:
        region = config.OpenStackConfig(app_name=USER_AGENT).get_one(cloud=name)
        found = _api(
            region.get_session(),
            region.get_endpoint(SERVICE_TYPE),
            project,
            region_name=region.get_region_name(SERVICE_TYPE),
            interface=region.get_interface(SERVICE_TYPE),
        )
        found.locate()
        return found
    except (exceptions.SDKException, ksa_exceptions.ClientException) as error:
        raise ApiError(f"clouds.yaml: {error}") from error


def by_manager(manager: Any, microversion: str = "") -> Api:
    """The service that a command of `openstack` is for.

    :param manager: osc-lib's, after it knows who the user is
    :param microversion: what stands behind `1.`, or `latest`; empty for the server's choice
    :raises ApiError: nobody says where the service is
    """
    region = manager._cli_options
    version = "latest" if microversion == "latest" else f"1.{microversion}" if microversion else None
    # keystoneauth takes no project beside a name and a password alone, so that there is an option of its own.
    project = region.config.get("baremetal_isolation_project")
    found = _api(
        manager.session,
        region.get_endpoint(SERVICE_TYPE),
        project,
        region_name=manager.region_name,
        interface=manager.interface,
        default_microversion=version or region.get_default_microversion(SERVICE_TYPE),
    )
    found.locate()
    return found
