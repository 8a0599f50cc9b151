# SPDX-License-Identifier: Apache-2.0
"""The REST API, as its users reach it: a session, an endpoint, and errors that can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import keystoneauth1.exceptions as ksa_exceptions
from keystoneauth1 import adapter, http_basic
from keystoneauth1 import session as ksa_session

SERVICE_TYPE = "baremetal-isolation"
USER_AGENT = "mogan-hil-client"

#: Items that one page is asked for; the service may give fewer.
PAGE = 1000


class ApiError(Exception):
    """The service refused, or could not be reached. Its text is one sentence for people.

    :ivar status: the HTTP status, None where there was no answer
    :ivar code: the stable code of the error, empty where the answer has none
    """

    def __init__(self, text: str, status: int | None = None, code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class Api:
    """One user's view of one service.

    :param client: whose endpoint ends with `/v1`
    """

    def __init__(self, client: adapter.Adapter) -> None:
        self._client = client

    def call(self, method: str, *path: str, body: Mapping[str, Any] | None = None, **query: str) -> Any:
        """One request. Each part of the path is quoted.

        :returns: the JSON value of the answer, None where it has no body
        :raises ApiError: refused, or no answer
        """
        url = "/" + "/".join(quote(part, safe="") for part in path) + (f"?{urlencode(query)}" if query else "")
        options: dict[str, Any] = {} if body is None else {"json": body}
        try:
            answer = self._client.request(url, method, raise_exc=False, **options)
        except ksa_exceptions.ClientException as error:
            # urllib3's part of the text says the same once more.
            raise ApiError(f"The service cannot be reached: {str(error).partition(': HTTP')[0]}") from error
        if answer.status_code >= 400:
            raise refusal(answer, f"{method} {url}")
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise ApiError(f"{method} {url}: the answer is not JSON; is this the right address?") from None

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
    return ApiError(f"{request}: {detail} ({known})", answer.status_code, code)


def _api(session: Any, endpoint: str | None, project: str | None) -> Api:
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
        return _api(region.get_session(), region.get_endpoint(SERVICE_TYPE), project)
    except (exceptions.SDKException, ksa_exceptions.ClientException) as error:
        raise ApiError(f"clouds.yaml: {error}") from error
