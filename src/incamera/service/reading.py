# SPDX-License-Identifier: Apache-2.0
"""Routes for what anybody may know, and what the enrolled may."""

# Annotations are read by FastAPI while the routes are made: they are values here, not texts.
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Path, Request
from starlette.responses import Response

from incamera.errors import InputError
from incamera.ids import parse_digest
from incamera.ledger.receipt import make_receipt
from incamera.service.answers import NothingError, answer_json
from incamera.service.api import DIGEST, SIGNED, told
from incamera.service.bundle import bundle
from incamera.service.catalogue import PARAMETERS, Catalogue
from incamera.service.download import Download
from incamera.service.guard import Pool, read_body
from incamera.service.keep import Keep
from incamera.service.logclient import LogClient
from incamera.service.schemas import Evidence, Page, RegionSaid

__all__ = ["add_reading"]

_MAX_SMALL = 1 << 14
_CAPSULE = "application/vnd.incamera.capsule"
_JSON = "application/json"
_PROOF = "text/plain; charset=utf-8"
_PRIVATE = {"Cache-Control": "no-store"}

_TAGGED = {"ETag": "The digest.", "Accept-Ranges": "bytes"}

Named = Annotated[str, Path(pattern=DIGEST, description="The capsule's digest.")]


def add_reading(app: FastAPI, keep: Keep) -> None:
    """The region, the catalogue, capsules, receipts, evidence."""
    looks = Pool(threads=8, waiting=248)
    _add_region(app, keep, looks)
    _add_catalogue(app, keep, looks)
    _add_capsules(app, keep, looks)
    _add_several(app, keep, looks)


def _add_region(app: FastAPI, keep: Keep, looks: Pool) -> None:
    async def region(request: Request) -> Response:
        """Which region this is, and where its parties are."""
        del request
        entry = await looks.run(keep.callers.region)
        return answer_json({"v": 1, "region": entry.region, **keep.urls})

    said = told("region", {200: ("Unproven: the log proves it.", RegionSaid)})
    app.add_api_route("/region", region, methods=["GET"], **said)


def _add_catalogue(app: FastAPI, keep: Keep, looks: Pool) -> None:
    catalogue = Catalogue(keep.vaults)

    async def rows(request: Request) -> Response:
        """List capsules, as the caller may see them."""
        caller = await looks.run(keep.callers.of, request)
        asked = dict(request.query_params.multi_items())
        if len(asked) != len(request.query_params.multi_items()):
            raise InputError("a parameter stands twice")
        return answer_json(await looks.run(catalogue.page, caller, asked))

    said = told(
        "capsules",
        {200: ("At most 1000 rows, from the `start`-th on.", Page)},
        errors=(401, 403),
        security=SIGNED,
        parameters=PARAMETERS,
    )
    app.add_api_route("/capsules", rows, methods=["GET"], **said)


def _add_capsules(app: FastAPI, keep: Keep, looks: Pool) -> None:
    catalogue, proofs = Catalogue(keep.vaults), Pool(threads=4, waiting=60)
    files = Pool(threads=8, waiting=504)

    async def capsule(request: Request, name: Named) -> Response:
        """Fetch a capsule file, or one range of it."""
        wanted = parse_digest(name, "capsule")
        caller = await looks.run(keep.callers.of, request)
        blob = await looks.run(catalogue.blob, caller, wanted, request.headers)
        return Download(blob, files, _CAPSULE)

    async def receipt(request: Request, name: Named) -> Response:
        """Fetch a fresh receipt for a capsule that was admitted."""
        del request
        row = await looks.run(keep.vaults.row, parse_digest(name, "capsule"))
        if row is None or row.index is None:
            raise NothingError(f"no capsule {name} was admitted here")
        proof = await proofs.run(_receipt, keep.log, row.index)
        return Response(proof, media_type=_PROOF)

    said = told(
        "capsules",
        {200: ("The whole file.", _CAPSULE), 206: ("The part that was asked for.", _CAPSULE)},
        errors=(401, 403, 404, 416),
        security=SIGNED,
        headers={200: _TAGGED, 206: {**_TAGGED, "Content-Range": "Which part."}},
    )
    app.add_api_route("/capsules/{name}", capsule, methods=["GET"], **said)
    said = told("deliver", {200: ("A `.tlog-proof`.", "text/plain")}, errors=(404,))
    app.add_api_route("/capsules/{name}/receipt", receipt, methods=["GET"], **said)


def _add_several(app: FastAPI, keep: Keep, looks: Pool) -> None:
    catalogue = Catalogue(keep.vaults)
    bundles = Pool(threads=2, waiting=30)  # 16 MiB in memory for each

    async def evidence(request: Request) -> Response:
        """Show what trustees must be shown: envelopes and wrapped shares."""
        caller = await looks.run(keep.callers.of, request)
        body = await read_body(request, _MAX_SMALL)
        caller.sent(body)
        return answer_json(await looks.run(catalogue.evidence, caller, body))

    async def several(request: Request) -> Response:
        """Fetch several small capsules in one answer.

        Each stands behind its length (u64, big-endian); length 0: ask for it by itself.
        """
        caller = await looks.run(keep.callers.of, request)
        body = await read_body(request, _MAX_SMALL)
        caller.sent(body)
        data = await bundles.run(bundle, body, partial(catalogue.small, caller))
        return Response(data, media_type=_CAPSULE, headers=_PRIVATE)

    asked: dict[str, Any] = {
        "errors": (401, 403, 404, 413),
        "security": SIGNED,
        "body": (_JSON, "1 to 128 digests."),
        "schema": _DIGESTS,
    }
    said = told("capsules", {200: ("In the order asked for.", Evidence)}, **asked)
    app.add_api_route("/evidence", evidence, methods=["POST"], **said)
    said = told("capsules", {200: ("In the order asked for.", _CAPSULE)}, **asked)
    app.add_api_route("/bundle", several, methods=["POST"], **said)


_DIGESTS = {
    "type": "object",
    "required": ["capsules"],
    "additionalProperties": False,
    "properties": {
        "capsules": {
            "type": "array",
            "minItems": 1,
            "maxItems": 128,
            "items": {"type": "string", "pattern": DIGEST},
        }
    },
}


def _receipt(log: LogClient, index: int) -> bytes:
    """Made of what the log publishes: who asks for receipts keeps nobody from the vault's lock."""
    entry, proof = log.proven(index)
    return make_receipt(proof, entry)
