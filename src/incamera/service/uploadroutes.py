# SPDX-License-Identifier: Apache-2.0
"""Routes of resumable uploads, and what the OpenAPI says of them."""

# Annotations are read by FastAPI while the routes are made: they are values here, not texts.
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from starlette.responses import Response

from incamera.service.answers import UnfitError
from incamera.service.api import DIGEST, SIGNED, told
from incamera.service.deliver import TUS
from incamera.service.keep import Keep
from incamera.service.uploads import OFFSET, SAID, Uploads

__all__ = ["add_uploads"]

Name = Annotated[str, Path(description="As `Location` had it.")]
Capsule = Annotated[
    str | None, Query(pattern=DIGEST, description="As in `Upload-Metadata`: here it is signed.")
]
Length = Annotated[int | None, Query(ge=1, description="As `Upload-Length`: here it is signed.")]


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != TUS:
        raise UnfitError(412, f"this call is of tus {TUS}: say so in Tus-Resumable")


def add_uploads(app: FastAPI, keep: Keep) -> None:
    """``/uploads`` and what is below."""
    does = Uploads(keep)

    async def offered(request: Request) -> Response:
        """Say what of tus there is here."""
        del request
        headers = {
            **SAID,
            "Tus-Version": TUS,
            "Tus-Extension": "creation,termination,expiration",
            "Tus-Max-Size": str(keep.largest),
        }
        return Response(status_code=204, headers=headers)

    async def offered_below(request: Request, name: Name) -> Response:
        """Say what of tus there is here."""
        del name
        return await offered(request)

    async def begin(request: Request, capsule: Capsule = None, length: Length = None) -> Response:
        """Announce a capsule that will come in parts.

        The same capsule of the same car has the same upload, and `Upload-Offset` says where it
        is. 200 instead of 201: it was admitted before, and `Upload-Receipt` says where its
        receipt is.
        """
        _check_version(request)
        return await does.begin(request, capsule, length)

    async def ask(request: Request, name: Name) -> Response:
        """Ask how far an upload is."""
        _check_version(request)
        return await does.ask(name)

    async def go_on(request: Request, name: Name) -> Response:
        """Send the next part, from `Upload-Offset` on.

        Of a call that is cut off, what came is kept. The last part is answered once the capsule
        is in the log: `Upload-Receipt` says where its receipt is. 503 then: all has come, and an
        empty part asks to finish it.
        """
        _check_version(request)
        return await does.go_on(request, name)

    async def drop(request: Request, name: Name) -> Response:
        """Give an upload up."""
        _check_version(request)
        return await does.drop(name)

    async def instead(request: Request, name: Name) -> Response:
        """Send PATCH or DELETE where they cannot be sent: `X-HTTP-Method-Override`."""
        _check_version(request)
        return await does.overridden(request, name)

    app.add_api_route("/uploads", offered, methods=["OPTIONS"], **told("uploads", _DONE))
    for path, method, act, said in _calls(offered_below, begin, ask, go_on, drop, instead):
        app.add_api_route(path, act, methods=[method], **said)


def _header(name: str, means: str, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    shape = schema or {"type": "string"}
    where = {"name": name, "in": "header", "required": required}
    return {**where, "description": means, "schema": shape}


_VERSION = _header("Tus-Resumable", "The protocol's version.", type="string", enum=[TUS])
_AT = _header("Upload-Offset", "Bytes that the vault has.", type="integer", minimum=0)
_WHOLE = _header("Upload-Length", "Bytes of the capsule.", type="integer", minimum=1)
_NAMED = _header("Upload-Metadata", "`capsule` and, in base64, its digest in hex.", required=False)
_INSTEAD = _header("X-HTTP-Method-Override", "The method.", type="string", enum=["PATCH", "DELETE"])

_IS = {
    "Tus-Resumable": "The protocol's version.",
    "Upload-Offset": "Bytes that the vault has.",
    "Upload-Expires": "When it is given up, if nothing comes.",
}
_ADMITTED = {"Upload-Receipt": "Once it is in the log: where the receipt is, from here."}
_DONE: dict[int, tuple[str, str | type | None]] = {204: ("Done.", None)}

Act = Callable[..., Awaitable[Response]]


def _calls(
    offered: Act, begin: Act, ask: Act, go_on: Act, drop: Act, instead: Act
) -> list[tuple[str, str, Act, dict[str, Any]]]:
    """Path, method, handler, and what is said of it."""
    begun: dict[int, tuple[str, str | type | None]] = {
        201: ("Announced: `Location`, `Upload-Offset`, `Upload-Expires`.", None),
        200: ("Admitted before: `Upload-Receipt`.", None),
    }
    there: dict[int, tuple[str, str | type | None]] = {
        200: ("`Upload-Offset`, `Upload-Length`, `Upload-Expires`.", None)
    }
    sent: dict[str, Any] = {
        "errors": (403, 404, 409, 412, 413, 415, 422, 423),
        "body": (OFFSET, "The capsule's bytes from the offset on."),
        "headers": {204: {**_IS, **_ADMITTED}},
    }
    announced = told(
        "uploads",
        begun,
        errors=(401, 403, 412, 413, 429),
        security=SIGNED,
        parameters=[_VERSION, _WHOLE, _NAMED],
        headers={201: {"Location": "The upload.", **_IS}, 200: _ADMITTED},
    )
    looked = told(
        "uploads",
        there,
        errors=(404, 412),
        parameters=[_VERSION],
        headers={200: {**_IS, "Upload-Length": "Bytes of the capsule."}},
    )
    dropped = told("uploads", _DONE, errors=(404, 412, 423), parameters=[_VERSION])
    gone_on = told("uploads", _DONE, parameters=[_VERSION, _AT], **sent)
    optional = {**_AT, "required": False}
    overridden = told("uploads", _DONE, parameters=[_VERSION, _INSTEAD, optional], **sent)
    return [
        ("/uploads", "POST", begin, announced),
        ("/uploads/{name}", "OPTIONS", offered, told("uploads", _DONE)),
        ("/uploads/{name}", "HEAD", ask, looked),
        ("/uploads/{name}", "PATCH", go_on, gone_on),
        ("/uploads/{name}", "DELETE", drop, dropped),
        ("/uploads/{name}", "POST", instead, overridden),
    ]
