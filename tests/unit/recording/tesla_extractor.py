# SPDX-License-Identifier: Apache-2.0
"""A peer: reads SEI telemetry out of an MP4 the way Tesla publishes it, sharing no code with us.

Written from the behaviour of Tesla's own reader (github.com/teslamotors/dashcam, dashcam-mp4.js):
walk the boxes to ``mdat``, walk the 4-byte lengths in it, take NAL type 6 with payload type 5,
skip one size byte, want a run of 0x42 and one 0x69, drop the last byte, take out emulation
prevention bytes, decode. The protobuf is read by hand, straight from the wire.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

NAMES = [
    "version",
    "gear_state",
    "frame_seq_no",
    "vehicle_speed_mps",
    "accelerator_pedal_position",
    "steering_wheel_angle",
    "blinker_on_left",
    "blinker_on_right",
    "brake_applied",
    "autopilot_state",
    "latitude_deg",
    "longitude_deg",
    "heading_deg",
    "linear_acceleration_mps2_x",
    "linear_acceleration_mps2_y",
    "linear_acceleration_mps2_z",
]


def extract(path: Path) -> list[dict[str, float]]:
    """Each message in ``path``, by the names of dashcam.proto; zeros are left out."""
    data = path.read_bytes()
    start, end = _mdat(data)
    return [_decode(body) for body in _bodies(data, start, end)]


def _mdat(data: bytes) -> tuple[int, int]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", data, at + 8), 16
        elif size == 0:
            size = len(data) - at
        if kind == b"mdat":
            return at + header, at + size
        at += size
    raise AssertionError("no mdat box")


def _bodies(data: bytes, at: int, end: int) -> Iterator[bytes]:
    while at + 4 <= end:
        (size,) = struct.unpack_from(">I", data, at)
        at += 4
        unit = data[at : at + size]
        at += size
        if len(unit) >= 4 and unit[0] & 0x1F == 6 and unit[1] == 5:
            body = body_of(unit)
            if body is not None:
                yield body


def body_of(unit: bytes) -> bytes | None:
    """The protobuf bytes of one SEI NAL unit, or None if it is not Tesla's."""
    i = 3
    while i < len(unit) and unit[i] == 0x42:
        i += 1
    if i <= 3 or i + 1 >= len(unit) or unit[i] != 0x69:
        return None
    plain, zeros = bytearray(), 0
    for byte in unit[i + 1 : -1]:
        if zeros >= 2 and byte == 3:
            zeros = 0
            continue
        plain.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(plain)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (body[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if body[at - 1] < 0x80:
            return value, at


def _decode(body: bytes) -> dict[str, float]:
    message: dict[str, float] = {}
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        value: float
        if tag & 7 == 0:
            value, at = _varint(body, at)
        elif tag & 7 == 1:
            (value,), at = struct.unpack_from("<d", body, at), at + 8
        else:
            assert tag & 7 == 5, f"wire type {tag & 7}"
            (value,), at = struct.unpack_from("<f", body, at), at + 4
        message[NAMES[(tag >> 3) - 1]] = value
    return message
