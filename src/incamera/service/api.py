# SPDX-License-Identifier: Apache-2.0
"""The vault's OpenAPI: what FastAPI cannot know of a route by itself, said where the route is made.

Bodies here are bytes that are parsed strictly, or streamed; answers are made by hand. So a route
declares its parameters as FastAPI has them, and its body and answers in :func:`told`. What is
served at ``/openapi.json`` is committed as ``docs/openapi/vault.json``; a test compares them.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from incamera import __version__
from incamera.errors import InputError
from incamera.service.answers import HANDLERS, problem
from incamera.service.schemas import Problem

__all__ = ["DIGEST", "OPERATOR", "SIGNED", "Api", "api", "close", "told"]

DIGEST = "^[0-9a-f]{64}$"
"""SHA-256 in lower-case hex, as a pattern."""

_ABOUT = """\
The vault keeps capsules and holds no key to open them. *Signed* calls carry
`Authorization: DSSE <base64>`: a DSSE envelope (payload type `application/vnd.incamera.call+json`)
over canonical JSON with `body` (SHA-256 of the body, hex), `key` (Ed25519, base64), `method`,
`path` (path below the vault's URL, and query, as sent), `time` (POSIX seconds, within 300 of the
vault's) and `v` (1). Who may do what is decided by Cedar policies; docs/operating/parties.md has
the table. Errors are problem documents (RFC 9457). HEAD is answered where GET is."""

_SCHEMES = {
    "DSSE": {
        "type": "http",
        "scheme": "DSSE",
        "description": "An envelope signed by a key that the log enrolled, for this one call.",
    },
    "operator": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the vault's operators.",
    },
    "certificate": {
        "type": "mutualTLS",
        "description": "A client certificate, on the operators' own address.",
    },
}
SIGNED: tuple[str, ...] = ("DSSE",)
OPERATOR: tuple[str, ...] = ("DSSE", "operator", "certificate")

_MEANS = {
    400: "Malformed, or not what this call takes.",
    401: "Not signed by a key that the log knows, or not for this call.",
    403: "A rule forbids it; `code` says which.",
    404: "There is no such thing, or none that this caller may know of.",
    405: "Another method; `Allow` has those there are.",
    408: "The body came too slowly.",
    409: "Not at this offset.",
    412: "Another version of tus than 1.0.0.",
    413: "Longer than this call takes.",
    415: "Not the media type that this call takes.",
    416: "No such range of the capsule.",
    422: "A signature, digest or proof does not hold.",
    423: "Somebody else is sending this upload.",
    429: "Too much for now; `Retry-After` has the seconds.",
    431: "Headers too long.",
    500: "A fault of the server.",
    503: "Not now: the log, the disk or a place in the queue is missing; `Retry-After`.",
}
_WAIT = {"Retry-After": "Seconds."}
_HEADERS = {
    401: {"WWW-Authenticate": "The schemes."},
    408: _WAIT,
    416: {"Content-Range": "How long the whole is."},
    423: _WAIT,
    429: _WAIT,
    503: _WAIT,
}
_ALWAYS = (400, 408, 431, 500, 503)
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


class Api(FastAPI):
    """The app, with an OpenAPI that is made once: :func:`close`."""

    said: dict[str, Any]

    def openapi(self) -> dict[str, Any]:
        """As made."""
        return self.said


def api(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> Api:
    """An app without routes. No page of it is loaded from elsewhere: there is none but the JSON."""
    return Api(
        title="incamera vault",
        version=__version__,
        description=_ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers={**HANDLERS, RequestValidationError: _invalid},
    )


def close(app: Api) -> None:
    """Once all routes are there: say them in the OpenAPI, and answer HEAD where GET is."""
    said = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        license_info=app.license_info,
        routes=app.routes,
    )
    parts = said.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path in said["paths"].values():
        for call in path.values():
            for status in [n for n, one in call["responses"].items() if _is_theirs(one)]:
                del call["responses"][status]
    parts["securitySchemes"] = _SCHEMES
    app.said = said
    for route in app.routes:
        methods = route.methods if isinstance(route, APIRoute) else None
        if methods is not None and "GET" in methods:
            methods.add("HEAD")


def _is_theirs(answer: Mapping[str, Any]) -> bool:
    """True for FastAPI's own answer to a bad parameter; ours is a problem, 400."""
    return "HTTPValidationError" in str(answer.get("content", ""))


def told(
    tag: str,
    success: Mapping[int, tuple[str, str | type | None]],
    *,
    errors: Sequence[int] = (),
    security: Sequence[str] = (),
    body: tuple[str, str] | None = None,
    headers: Mapping[int, Mapping[str, str]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Keywords of ``add_api_route`` for a route whose handler answers with a ``Response``.

    ``success``: status -> what it means, and its media type, or the model of its JSON, or None
    where there is no body. ``errors``: statuses beside those that every call may have.
    ``security``: schemes any one of which will do. ``body``: media type and meaning.
    ``headers``: of successful answers, what each says.
    """
    answers: dict[int | str, dict[str, Any]] = {}
    for status, (means, kind) in success.items():
        answers[status] = _success(means, kind, (headers or {}).get(status, {}))
    for status in sorted({*_ALWAYS, *errors} - success.keys()):
        answers[status] = {"description": _MEANS[status], "content": _PROBLEM}
        if status in _HEADERS:
            answers[status]["headers"] = _headers(_HEADERS[status])
    extra: dict[str, Any] = dict(more)
    if security:
        extra["security"] = [{each: []} for each in security]
    if body is not None:
        schema = {"type": "string", "contentMediaType": body[0]}
        if body[0] == "application/json":
            schema = {"type": "object"}
        content = {body[0]: {"schema": more.pop("schema", schema)}}
        extra["requestBody"] = {"required": True, "description": body[1], "content": content}
    extra.pop("schema", None)
    return {
        "tags": [tag],
        "status_code": min(success),
        "response_class": Response,
        "response_model": None,
        "responses": answers,
        "openapi_extra": extra,
    }


def _success(means: str, kind: str | type | None, headers: Mapping[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": means}
    if isinstance(kind, str):
        plain: dict[str, Any] = {"type": "string"}
        if not kind.startswith("text/"):
            plain["contentMediaType"] = kind
        answer["content"] = {kind: {"schema": plain}}
    elif kind is not None:
        answer["model"] = kind
    if headers:
        answer["headers"] = _headers(headers)
    return answer


def _headers(said: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"description": means, "schema": {"type": "string"}} for name, means in said.items()
    }


async def _invalid(request: Request, error: Exception) -> Response:
    """A parameter that is not of its form: 400, as whatever else is malformed."""
    del request
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where, name = first["loc"][0], first["loc"][-1]
    return problem(InputError(f"{where} parameter {name}: {first['msg']}"))
