# SPDX-License-Identifier: Apache-2.0
"""Errors as answers: a problem document (RFC 9457) that says what, and what to do, and no more.

=================  ======  ======================================================
error              status  otherwise
=================  ======  ======================================================
InputError         400     404 no such thing; 405 wrong method; 412, 413, 415, 416
PolicyError        403     401 where the caller is not known; with a ``code``
IntegrityError     422
UnavailableError   503     408 the caller was too slow; 409, 423, 429 it asks too early
=================  ======  ======================================================

``kind`` names the family, so that a client of ours raises the same error again.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.service import meters

__all__ = [
    "HANDLERS",
    "BusyError",
    "NothingError",
    "SlowError",
    "TooLargeError",
    "TooManyError",
    "UnfitError",
    "UnknownCallerError",
    "answer_json",
    "counted",
    "problem",
]

_STATUS = (
    (InputError, 400),
    (PolicyError, 403),
    (IntegrityError, 422),
    (UnavailableError, 503),
)


class NothingError(InputError):
    """404: there is no such thing, or none that this caller may know of."""

    status = 404


class TooLargeError(InputError):
    """413: the body is longer than this call allows."""

    status = 413


class UnfitError(InputError):
    """412, 415, 416: what the head asks for, or says of the body, is not what this call takes."""

    def __init__(self, status: int, message: str) -> None:
        """``status``: one of those."""
        super().__init__(message)
        self.status = status


class TooManyError(UnavailableError):
    """429: more than this caller may ask now."""

    status = 429

    def __init__(self, message: str, after: int, *, hint: str | None = None) -> None:
        """``after``: seconds until it may be asked again."""
        super().__init__(message, hint=hint)
        self.after = after


class BusyError(UnavailableError):
    """409, 423: somebody else was there first; look again."""

    def __init__(self, status: int, message: str) -> None:
        """``status``: one of those."""
        super().__init__(message, hint="ask where the upload is, and go on from there")
        self.status = status


class SlowError(UnavailableError):
    """408: the body did not come in time."""

    status = 408


class UnknownCallerError(PolicyError):
    """401: the call says not, or not rightly, who makes it."""

    status = 401

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        """``code``: lower-case words joined by ``-``."""
        super().__init__(message, hint=hint)
        self.code = code


def problem(error: Error, status: int | None = None) -> Response:
    """The answer that ``error`` is."""
    status = status or getattr(error, "status", None)
    if status is None:
        status = next((number for kind, number in _STATUS if isinstance(error, kind)), 500)
    said = {"detail": error.message, "hint": error.hint, "kind": error.kind}
    if code := getattr(error, "code", None):
        said["code"] = code
    headers = dict(getattr(error, "headers", {}))
    if status == 401:
        headers["WWW-Authenticate"] = "DSSE, Bearer"
    elif status in (408, 423, 429, 503):
        headers["Retry-After"] = str(getattr(error, "after", 1))
    return _document(status, said, headers)


def _document(
    status: int, said: Mapping[str, str | None], headers: Mapping[str, str] | None = None
) -> Response:
    known = {key: value for key, value in said.items() if value is not None}
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, **known}
    return JSONResponse(content, status, headers=headers, media_type="application/problem+json")


def answer_json(value: Any, status: int = 200) -> Response:
    """``value`` as JSON, not to be cached."""
    return JSONResponse(value, status, headers={"Cache-Control": "no-store"})


async def _ours(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, Error)
    return counted(error)


def counted(error: Error) -> Response:
    """As :func:`problem`, and counted as a refusal."""
    meters.refused(getattr(error, "code", "") or error.kind)
    return problem(error)


async def _http(request: Request, error: Exception) -> Response:
    """What the router says: no such path (404), not in this way (405)."""
    assert isinstance(error, HTTPException)
    detail = {
        404: f"there is nothing at {request.url.path[:100]!r}",
        405: f"{request.method} is not for {request.url.path[:100]!r}",
    }.get(error.status_code, error.detail)
    headers = dict(error.headers or {})
    if error.status_code == 405 and (allowed := _allowed(request)):
        headers["Allow"] = ", ".join(sorted(allowed))
    return _document(error.status_code, {"detail": detail, "kind": "input"}, headers)


def _allowed(request: Request) -> set[str]:
    """All methods there are at this path: several routes may share it."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE:
            found |= route.methods or set()
    return found


async def _unforeseen(request: Request, error: Exception) -> Response:
    """A fault of ours: the log line has it, the answer only says so."""
    del request, error
    detail = "a fault of this server; its operator finds it in the server's log"
    return _document(500, {"detail": detail, "kind": "unavailable"})


HANDLERS: dict[Any, Any] = {Error: _ours, HTTPException: _http, Exception: _unforeseen}
"""For :class:`starlette.applications.Starlette`."""
