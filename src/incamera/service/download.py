# SPDX-License-Identifier: Apache-2.0
"""A capsule on its way out, whole or from where a reader stopped, out of a folder or a bucket.

Ranges as RFC 9110, section 14, has them: one of them at a time; several, or units other than bytes,
are answered with the whole. A capsule's bytes never change, so its digest is its entity tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from incamera.errors import Error, InputError
from incamera.service.answers import UnfitError
from incamera.service.guard import Pool

__all__ = ["Blob", "Download", "RangeError", "wanted"]

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


class RangeError(UnfitError):
    """416: nothing of the capsule is there."""

    def __init__(self, size: int) -> None:
        """``size``: bytes of the whole."""
        super().__init__(416, f"this capsule has {size} bytes, and none of them is there")
        self.headers = {"Content-Range": f"bytes */{size}"}


@dataclass(frozen=True, slots=True)
class Blob:
    """What is asked for, and how it is read."""

    tag: str
    size: int  # bytes of the whole
    pieces: Iterator[bytes]
    start: int
    end: int  # exclusive

    @property
    def partial(self) -> bool:
        """True if it is not the whole."""
        return (self.start, self.end) != (0, self.size)


def wanted(headers: Headers, tag: str, size: int) -> tuple[int, int]:
    """First byte and the one after the last; all of ``size`` unless one range is asked for."""
    said, unless = headers.get("range", ""), headers.get("if-range")
    if not said.startswith("bytes=") or "," in said or unless not in (None, f'"{tag}"'):
        return 0, size
    match = _RANGE.fullmatch(said)
    if match is None or said == "bytes=-":
        raise InputError(f"not a range of bytes: {said!r:.80}")
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), size if not last else min(size, int(last) + 1)
    if first and last and int(last) < int(first):
        raise InputError(f"not a range of bytes: {said!r:.80}")
    if start >= size:
        raise RangeError(size)
    return start, end


class Download(Response):
    """Streams a blob in pieces, each read in a thread. Ended early, the connection is closed."""

    def __init__(self, blob: Blob, pool: Pool, kind: str) -> None:
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store",
            "Content-Type": kind,
            "ETag": f'"{blob.tag}"',
        }
        if blob.partial:
            headers["Content-Range"] = f"bytes {blob.start}-{blob.end - 1}/{blob.size}"
        super().__init__(status_code=206 if blob.partial else 200, headers=headers)
        self.headers["content-length"] = str(blob.end - blob.start)
        self._blob = blob
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        del receive
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        left = 0 if scope["method"] == "HEAD" else self._blob.end - self._blob.start
        while left:
            try:
                piece = await self._pool.run(next, self._blob.pieces, b"")
            except Error:  # erased or out of reach meanwhile; the reader sees that it ends early
                return
            piece = piece[:left]
            left -= len(piece)
            if not piece:
                return
            await send({"type": "http.response.body", "body": piece, "more_body": bool(left)})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
