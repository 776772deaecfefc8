# SPDX-License-Identifier: Apache-2.0
"""Routes into the log, and into the vault."""

# Annotations are read by FastAPI while the routes are made: they are values here, not texts.
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import FastAPI, Path, Request
from starlette.responses import Response

from incamera.ledger.codec import decode
from incamera.service import rights
from incamera.service.answers import answer_json
from incamera.service.api import SIGNED, told
from incamera.service.guard import Gate, Pool, read_body
from incamera.service.keep import Keep
from incamera.service.public import KINDS, check_text
from incamera.service.schemas import Indexed, Placed
from incamera.service.straight import Straight

__all__ = ["add_writing"]

_MAX_ENTRY = 65_535
_CAPSULE = "application/vnd.incamera.capsule"
_BYTES = "application/octet-stream"
_PROOF = "text/plain; charset=utf-8"


def add_writing(app: FastAPI, keep: Keep) -> None:
    """``POST /capsules``, ``POST /entries``, and the texts beside the log."""
    _add_capsules(app, keep)
    _add_entries(app, keep)
    _add_texts(app, keep)


def _add_capsules(app: FastAPI, keep: Keep) -> None:
    async def deliver(request: Request) -> Response:
        """Deliver a capsule in one call.

        The receipt comes once the capsule is on disk and its entry in the witnessed log. The same
        capsule again has a receipt for the same entry. The capsule's own signature says whose it
        is. Longer ones are better delivered as uploads.
        """
        receipt = await keep.incoming.take(request, keep.largest)
        return Response(receipt, 201, media_type=_PROOF)

    app.add_api_route(
        "/capsules",
        deliver,
        methods=["POST"],
        **told(
            "deliver",
            {201: ("The receipt, a `.tlog-proof`.", "text/plain")},
            errors=(403, 413, 422, 429),
            body=(_CAPSULE, "The capsule file."),
        ),
    )
    app.add_middleware(Straight, path="/capsules", handler=deliver)


def _add_entries(app: FastAPI, keep: Keep) -> None:
    writes = Pool(threads=4, waiting=252)
    waiting = Gate(1024)  # 64 MiB of entries

    async def submit(request: Request) -> Response:
        """Put a signed entry into the log.

        The same bytes again have the same index.
        """
        with waiting.passed():
            body = await read_body(request, _MAX_ENTRY)
            await writes.run(decode, body, "submitted entry")  # rubbish waits for nobody
            index = await keep.entries.answer(body)
        return answer_json({"index": index}, 201)

    app.add_api_route(
        "/entries",
        submit,
        methods=["POST"],
        **told(
            "log",
            {201: ("It stands in the log.", Indexed)},
            errors=(403, 413, 422),
            body=(_BYTES, "One entry: a DSSE envelope, at most 65535 bytes."),
        ),
    )


def _add_texts(app: FastAPI, keep: Keep) -> None:
    writes, texts = Pool(threads=4, waiting=124), Gate(8)

    def publisher(kind: str) -> Callable[..., Awaitable[Response]]:
        async def publish(
            request: Request, name: Annotated[str, Path(description="Its digest, and ending.")]
        ) -> Response:
            caller = await writes.run(keep.callers.of, request)
            rights.check(caller, f"publish-{kind}")
            with texts.passed():
                body = await read_body(request, KINDS[kind][1])
                caller.sent(body)
                check_text(kind, name, body)
                keep.budget.text(f"{caller.role} {caller.name}", len(body))
                await writes.run(keep.log.publish, kind, name, body)
            return answer_json({"path": f"{kind}/{name}"}, 201)

        publish.__name__ = f"publish_{kind}"
        publish.__doc__ = f"Put a {kind} beside the log, under its SHA-256."
        return publish

    for kind, (ending, longest) in KINDS.items():
        app.add_api_route(
            f"/{kind}/{{name}}",
            publisher(kind),
            methods=["PUT"],
            **told(
                "log",
                {201: ("It lies beside the log.", Placed)},
                errors=(401, 403, 413, 429),
                security=SIGNED,
                body=(_BYTES, f"The text, at most {longest} bytes; named `<digest>{ending}`."),
            ),
        )
