# SPDX-License-Identifier: Apache-2.0
"""HIL's errors: a class name and a text, with HIL's status codes. What is forbidden is 401 there, never 403."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import webob

from mogan_hil.common import exception


class HilError(exception.MoganHilError):
    """An error that only this front end has.

    :param kind: one of `STATUS`
    """

    code = "hil"
    title = "Refused"

    def __init__(self, kind: str, detail: str) -> None:
        self.kind = kind
        self.status = STATUS[kind]
        super().__init__(detail)


#: The classes that clients of HIL know. The last four had no body and said 500: what users may cause is no 500 here.
STATUS: Mapping[str, int] = {
    "ValidationError": 400,
    "BadArgumentError": 400,
    "AuthorizationError": 401,
    "NotFoundError": 404,
    "DuplicateError": 409,
    "BlockedError": 409,
    "ProjectMismatchError": 409,
    "IllegalStateError": 409,
    "AllocationError": 409,
    "OBMError": 503,
    "SwitchError": 503,
    "HeadnodeError": 503,
}

#: The most special class first.
_KINDS: tuple[tuple[type[exception.MoganHilError], str], ...] = (
    (exception.BadField, "BadArgumentError"),
    (exception.BadRequest, "ValidationError"),
    (exception.UnsupportedMediaType, "ValidationError"),
    (exception.Unauthorized, "AuthorizationError"),
    (exception.QuotaExceeded, "AllocationError"),
    (exception.Forbidden, "AuthorizationError"),
    (exception.NotCabled, "NotFoundError"),
    (exception.NotFound, "NotFoundError"),
    (exception.SwitchTwice, "DuplicateError"),
    (exception.Duplicate, "DuplicateError"),
    (exception.ProjectMismatch, "ProjectMismatchError"),
    (exception.NodeFree, "ProjectMismatchError"),
    (exception.PoolEmpty, "AllocationError"),
    (exception.NotEnoughNodes, "AllocationError"),
    (exception.NotPooled, "BadArgumentError"),
    (exception.HeadnodeFrozen, "IllegalStateError"),
    (exception.HeadnodeUnclean, "IllegalStateError"),
    (exception.HeadnodeNew, "IllegalStateError"),
    (exception.Conflict, "BlockedError"),
)


def kind_of(error: exception.MoganHilError) -> tuple[int, str]:
    """HIL's status code and class name for an error."""
    if isinstance(error, HilError):
        return error.status, error.kind
    for known, kind in _KINDS:
        if isinstance(error, known):
            return STATUS[kind], kind
    if isinstance(error, exception.DeviceUnavailable):
        return error.status, "OBMError"
    # A method that a path does not take, a body that is too large: HIL's libraries answered with a page, which its
    # client took for a result. With a class that it knows it is an error.
    return error.status, "ServerError" if error.status >= 500 else "BadArgumentError"


def fault(error: exception.MoganHilError) -> webob.Response:
    """An error as HIL's clients read it."""
    status, kind = kind_of(error)
    body = orjson.dumps({"type": kind, "msg": error.detail})
    return webob.Response(status=status, content_type="application/json", charset=None, body=body)
