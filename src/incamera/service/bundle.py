# SPDX-License-Identifier: Apache-2.0
"""Several small capsules in one answer: a call for each would cost more than they do.

Asked like evidence, by digest. The answer has for each, in that order, its length (u64, big-endian)
and as many bytes. Length 0: not in here, for it is too long or cannot be shown; asked for by
itself, it comes, or the reason does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

from incamera.encoding import exact_keys, parse_json
from incamera.errors import Error, InputError, UnavailableError
from incamera.ids import Digest, parse_digest
from incamera.ledger.request import MAX_BATCH

__all__ = ["MAX_BUNDLE", "bundle", "unbundle"]

MAX_BUNDLE = 1 << 24
"""Bytes of capsules in one answer."""

LENGTH = struct.Struct(">Q")


Read = Callable[[Digest, int], bytes]
"""A capsule's bytes, unless it is longer than so many: then none. Blocks."""


def bundle(body: bytes, read: Read) -> bytes:
    """The answer to ``body``, ``{"capsules": [1 to 128 digests]}``; ``read`` gives each. Blocks."""
    asked = exact_keys(parse_json(body, "bundle"), ("capsules",), "bundle")["capsules"]
    if not isinstance(asked, list) or not 1 <= len(asked) <= MAX_BATCH:
        raise InputError(f"bundle: 1 to {MAX_BATCH} capsules at a time")
    parts, left = [], MAX_BUNDLE
    for each in asked:
        data = _small(read, parse_digest(each, "bundle: capsules"), left)
        left -= len(data)
        parts += [LENGTH.pack(len(data)), data]
    return b"".join(parts)


def _small(read: Read, name: Digest, limit: int) -> bytes:
    """The capsule's bytes, or none."""
    try:
        return read(name, limit)
    except (Error, OSError):
        return b""  # the reason is given to whoever asks for it by itself


def unbundle(data: bytes, capsules: Sequence[Digest], where: str) -> Iterator[tuple[Digest, bytes]]:
    """Each capsule and its bytes, unchecked; empty ones have to be asked for by themselves."""
    at = 0
    for name in capsules:
        begin = at + LENGTH.size
        if len(data) < begin:
            raise UnavailableError(f"{where}: the answer is cut off")
        at = begin + LENGTH.unpack_from(data, at)[0]
        if at > len(data):
            raise UnavailableError(f"{where}: the answer is cut off")
        yield name, data[begin:at]
    if at != len(data):
        raise UnavailableError(f"{where}: something follows the answer's end")
