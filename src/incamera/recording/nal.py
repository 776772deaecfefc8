# SPDX-License-Identifier: Apache-2.0
"""Where the NAL units of an H.264 packet lie (ISO 14496-15, 5.3.3; ITU-T H.264, Annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["hide_user_data", "length_size"]

_START_CODE = re.compile(rb"\x00\x00\x01")
_SEI, _FILLER = 6, 12
_USER_DATA = b"\x05"
_SLICES = range(1, 6)


def length_size(extradata: bytes | None) -> int | None:
    """Bytes of length before each unit, as the ``avcC`` record says; None: start codes."""
    if not extradata or extradata[0] != 1 or len(extradata) < 5:
        return None
    return (extradata[4] & 3) + 1


def hide_user_data(packet: bytes, size: int | None) -> bytes:
    """The same bytes with SEI units of user data (type 5) marked as filler, which decoders skip.

    Told to fail on errors, FFmpeg refuses user data shorter than a UUID, which Tesla's clips may
    have; not told, it only marks damaged H.264 pictures, and on several threads at times too late.
    """
    changed = None
    for at in _units(packet, size):
        if packet[at] & 0x1F in _SLICES:
            break
        if packet[at] & 0x1F == _SEI and packet[at + 1 : at + 2] == _USER_DATA:
            changed = changed or bytearray(packet)
            changed[at] = _FILLER
    return packet if changed is None else bytes(changed)


def _units(packet: bytes, size: int | None) -> Iterator[int]:
    """Where units begin; stops where a length is wrong (the decoder then complains)."""
    if size is None:
        yield from (m.end() for m in _START_CODE.finditer(packet) if m.end() < len(packet))
        return
    at = 0
    while at + size < len(packet):
        yield at + size
        at += size + int.from_bytes(packet[at : at + size], "big")
