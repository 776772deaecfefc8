# SPDX-License-Identifier: Apache-2.0
"""Tesla's telemetry inside H.264: read from, and written into, SEI messages.

Firmware 2025.44.25 and later puts one protobuf ``SeiMetadata`` in front of each picture. Sources:
Tesla's own readers (github.com/teslamotors/dashcam, ``dashcam-mp4.js``, ``dashcam.proto``) and
ITU-T H.264, 7.3.2.3 (SEI), 7.4.1 (emulation prevention), D.1.7 (user data unregistered)::

    06          NAL unit type 6, SEI
    05          payload type 5, user data unregistered
    ss          payload size; each FF adds 255 and says that one more size byte follows
    42 .. 42    one or more 0x42
    69          the marker; from here on emulation prevention bytes are taken out
    ...         SeiMetadata; proto3, so what is zero is left out
    80          the trailing bit

What Tesla leaves open, and how it is read here: a latitude *and* longitude of zero (both left out)
means that there is no fix. The axes of the acceleration and the scale of the accelerator pedal
(0..1 or 0..100) are not documented and seen both ways: values are handed on as they stand, and
:mod:`incamera.trigger` depends on neither.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from incamera.errors import InputError
from incamera.recording.model import Fix, Telemetry

__all__ = ["annexb_units", "avcc_units", "encode", "find", "insert", "parse"]

_SEI, _USER_DATA, _TRAILING = 6, 5, 0x80
_SLICES = range(1, 6)  # NAL unit types of coded slices
# 15 + 1 bytes: Tesla's readers accept any run of 0x42, and D.1.7 wants a UUID of 16 bytes here.
_MARKER = b"\x42" * 15 + b"\x69"
_FIND_MARKER = re.compile(rb"\x42+\x69")
_ESCAPE = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_START_CODE = re.compile(rb"\x00\x00\x01")

# dashcam.proto. Its two enums, Gear and AutopilotState, are the same as int32 on the wire.
_FIELDS = (
    ("version", "UINT32"),
    ("gear_state", "INT32"),
    ("frame_seq_no", "UINT64"),
    ("vehicle_speed_mps", "FLOAT"),
    ("accelerator_pedal_position", "FLOAT"),
    ("steering_wheel_angle", "FLOAT"),
    ("blinker_on_left", "BOOL"),
    ("blinker_on_right", "BOOL"),
    ("brake_applied", "BOOL"),
    ("autopilot_state", "INT32"),
    ("latitude_deg", "DOUBLE"),
    ("longitude_deg", "DOUBLE"),
    ("heading_deg", "DOUBLE"),
    ("linear_acceleration_mps2_x", "DOUBLE"),
    ("linear_acceleration_mps2_y", "DOUBLE"),
    ("linear_acceleration_mps2_z", "DOUBLE"),
)


@cache
def _message() -> Any:
    """The class of ``SeiMetadata``, built from the table above.

    Generated code would tie incamera to the one protobuf version that made it.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="incamera/dashcam.proto", package="incamera.dashcam", syntax="proto3"
    )
    message = file.message_type.add(name="SeiMetadata")
    for number, (name, kind) in enumerate(_FIELDS, start=1):
        field = message.field.add(name=name, number=number)
        field.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{kind}")
        field.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("incamera.dashcam.SeiMetadata")
    )


def _body(unit: bytes) -> bytes | None:
    """The protobuf bytes of Tesla's SEI; None if ``unit`` is anything else."""
    if len(unit) < 2 or unit[0] & 0x1F != _SEI or unit[1] != _USER_DATA:
        return None
    at, size = 2, 0
    while at < len(unit) and unit[at] == 0xFF:
        at, size = at + 1, size + 0xFF
    if at >= len(unit):
        return None
    size, at = size + unit[at], at + 1
    marker = _FIND_MARKER.match(unit, at)
    if marker is None:
        return None
    body = unit[marker.end() :].replace(b"\x00\x00\x03", b"\x00\x00")
    if not body:  # not even a trailing bit
        return None
    length = size - (marker.end() - at)
    # Where the size does not fit, read on to the trailing bit, as Tesla's own readers always do.
    return body[:length] if 0 <= length < len(body) else body[:-1]


def parse(unit: bytes, time: float = 0.0) -> Telemetry | None:
    """The telemetry in one NAL unit (no start code, no length before it), given ``time``.

    None if the unit is no SEI of Tesla's (a slice, another encoder's user data, too short to
    say). :class:`InputError` if it carries Tesla's marker but not a message: undecodable
    protobuf, or a speed, pedal, angle or acceleration that is no number. A position that is no
    number or not on Earth counts as no fix.
    """
    body = _body(unit)
    if body is None:
        return None
    from google.protobuf.message import DecodeError

    message = _message()()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise InputError(
            f"SEI telemetry at {time:.3f} s: not a SeiMetadata message",
            hint="the file is damaged or of a newer format: leave it out, or update incamera",
        ) from error
    return _telemetry(message, time)


def _telemetry(message: Any, time: float) -> Telemetry:
    speed = message.vehicle_speed_mps
    acceleration = (
        message.linear_acceleration_mps2_x,
        message.linear_acceleration_mps2_y,
        message.linear_acceleration_mps2_z,
    )
    steering, accelerator = message.steering_wheel_angle, message.accelerator_pedal_position
    if not all(map(math.isfinite, (speed, steering, accelerator, *acceleration))):
        raise InputError(f"SEI telemetry at {time:.3f} s: a value is not a number")
    return Telemetry(
        time=time,
        speed=speed,
        steering=steering,
        accelerator=accelerator,
        brake=message.brake_applied,
        gear=message.gear_state,
        blinker_left=message.blinker_on_left,
        blinker_right=message.blinker_on_right,
        autopilot=message.autopilot_state,
        acceleration=acceleration,
        sequence=message.frame_seq_no,
        fix=_fix(message, time),
    )


def _fix(message: Any, time: float) -> Fix | None:
    latitude, longitude = message.latitude_deg, message.longitude_deg
    absent = latitude == 0 and longitude == 0
    if absent or not (abs(latitude) <= 90 and abs(longitude) <= 180):  # a NaN fails this, too
        return None
    heading = message.heading_deg % 360 if math.isfinite(message.heading_deg) else None
    return Fix(time, latitude, longitude, heading, message.vehicle_speed_mps)


def encode(telemetry: Telemetry, *, version: int = 1) -> bytes:
    """One SEI NAL unit (no start code, no length before it) that Tesla's readers find.

    ``telemetry.time`` is not in the message: a reader takes it from the picture that follows.
    """
    fix, (x, y, z) = telemetry.fix, telemetry.acceleration
    try:
        message = _message()(
            version=version,
            gear_state=telemetry.gear,
            frame_seq_no=telemetry.sequence,
            vehicle_speed_mps=telemetry.speed,
            accelerator_pedal_position=telemetry.accelerator,
            steering_wheel_angle=telemetry.steering,
            blinker_on_left=telemetry.blinker_left,
            blinker_on_right=telemetry.blinker_right,
            brake_applied=telemetry.brake,
            autopilot_state=telemetry.autopilot,
            latitude_deg=fix.latitude if fix else 0.0,
            longitude_deg=fix.longitude if fix else 0.0,
            heading_deg=(fix.heading or 0.0) if fix else 0.0,
            linear_acceleration_mps2_x=x,
            linear_acceleration_mps2_y=y,
            linear_acceleration_mps2_z=z,
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"telemetry does not fit SeiMetadata: {error}") from error
    payload = _MARKER + message.SerializeToString(deterministic=True)
    size = b"\xff" * (len(payload) // 0xFF) + bytes([len(payload) % 0xFF])
    escaped = _ESCAPE.sub(b"\x00\x00\x03", payload)
    return bytes([_SEI, _USER_DATA]) + size + escaped + bytes([_TRAILING])


def avcc_units(data: bytes, length_size: int = 4) -> Iterator[bytes]:
    """NAL units of an MP4 packet, each behind its big-endian length; InputError if cut off."""
    at = 0
    while at < len(data):
        start = at + length_size
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise InputError("H.264 packet: a NAL unit is cut off")
        yield data[start:at]


def annexb_units(data: bytes) -> Iterator[bytes]:
    """NAL units of an Annex B stream, each behind a start code ``00 00 01``.

    Bytes before the first start code and zeros at the end of a unit belong to no unit.
    """
    codes = list(_START_CODE.finditer(data))
    ends = [*(code.start() for code in codes[1:]), len(data)]
    for code, end in zip(codes, ends, strict=False):  # no start code: an end, and no unit
        if unit := data[code.end() : end].rstrip(b"\x00"):
            yield unit


def find(packet: bytes, time: float = 0.0, *, length_size: int | None = 4) -> Telemetry | None:
    """The telemetry of one packet: the last before its picture, as in Tesla's viewer.

    ``length_size``: bytes of length before each unit (MP4: 4), or None for Annex B.
    Errors as for :func:`parse` and :func:`avcc_units`.
    """
    found = None
    units = annexb_units(packet) if length_size is None else avcc_units(packet, length_size)
    for unit in units:
        if unit and unit[0] & 0x1F in _SLICES:
            break
        found = parse(unit, time) or found
    return found


def insert(packet: bytes, unit: bytes, *, length_size: int | None = 4) -> bytes:
    """A packet with ``unit`` right before its first slice; ``length_size`` as for :func:`find`."""
    if length_size is None:
        codes = _START_CODE.finditer(packet)
        slices = (code for code in codes if packet[code.end() : code.end() + 1])
        for code in slices:
            if packet[code.end()] & 0x1F in _SLICES:
                at = code.start()
                return packet[:at] + b"\x00\x00\x01" + unit + packet[at:]
        return packet + b"\x00\x00\x01" + unit
    at = 0
    for other in avcc_units(packet, length_size):
        if other and other[0] & 0x1F in _SLICES:
            break
        at += length_size + len(other)
    return packet[:at] + len(unit).to_bytes(length_size, "big") + unit + packet[at:]
