# SPDX-License-Identifier: Apache-2.0
"""Messages of an MCAP file in Foxglove's schemas, protobuf or JSON, as plain values.

Field numbers of Foxglove's schemas have changed over the years, so protobuf messages are decoded
by the schema inside the file. Sources: mcap.dev/spec, docs.foxglove.dev/docs/sdk/schemas.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from incamera.encoding import base64_bytes, parse_json
from incamera.errors import InputError
from incamera.recording.model import Fix, Telemetry

__all__ = ["MAGIC", "NAMES", "TELEMETRY", "Message", "Picture", "messages", "parse_fix"]
__all__ += ["parse_picture", "parse_telemetry", "topics"]

MAGIC = b"\x89MCAP0\r\n"
TELEMETRY = "incamera.Telemetry"
NAMES = {"foxglove.CompressedVideo", "foxglove.CompressedImage", "foxglove.LocationFix", TELEMETRY}
_MEND = "mend a copy of it with 'mcap recover' and use that"
_MAX_RECORD = 256 << 20
_MAX_SECONDS = 1 << 33  # so that ns fit 64 bits


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its schema's name, when it was logged (ns), its fields by name."""

    schema: str
    logged: int
    where: str  # file and topic, for errors
    fields: Any  # a mapping (JSON) or a protobuf message


@dataclass(frozen=True, slots=True)
class Picture:
    """A CompressedVideo or CompressedImage."""

    stamp: int  # ns since 1970 UTC
    frame_id: str
    data: bytes
    form: str


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An indexed reader on ``path``; what its parsing runs into becomes InputError."""
    import zstandard
    from google.protobuf.message import DecodeError
    from mcap.exceptions import McapError
    from mcap.reader import SeekingReader

    damage = (
        McapError,
        DecodeError,
        zstandard.ZstdError,
        struct.error,
        ValueError,  # also a wrong CRC and text that is not UTF-8
        TypeError,
        LookupError,
        AttributeError,  # a schema of that name without the fields of it
        ArithmeticError,
        RuntimeError,  # lz4's own
        StopIteration,
        EOFError,
        MemoryError,
        OSError,
    )
    try:
        with path.open("rb") as file:
            if path.stat().st_size < 2 * len(MAGIC) or not _ends(file):
                raise InputError(f"{path}: cut off or damaged MCAP: it has no end", hint=_MEND)
            yield SeekingReader(file, validate_crcs=True, record_size_limit=_MAX_RECORD)
    except InputError:
        raise
    except damage as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{path}: cut off or damaged MCAP: {reason:.200}",
            hint=_MEND,
        ) from error


def _ends(file: BinaryIO) -> bool:
    """Whether the file ends as MCAP does; read from its beginning afterwards."""
    file.seek(-len(MAGIC), os.SEEK_END)
    ends = file.read() == MAGIC
    file.seek(0)
    return ends


def topics(path: Path) -> dict[str, str]:
    """Schema name by topic, of the schemas known here."""
    with _opened(path) as reader:
        summary = reader.get_summary()
        if summary is not None and summary.channels:
            pairs = [(summary.schemas.get(c.schema_id), c) for c in summary.channels.values()]
        else:
            pairs = [(schema, channel) for schema, channel, _ in _messages(reader, None, 0)]
        return {c.topic: s.name for s, c in pairs if s is not None and s.name in NAMES}


def messages(path: Path, topic: str, start: int = 0) -> Iterator[Message]:
    """The messages of ``topic`` logged at ``start`` (ns) or later, in order, one at a time."""
    from mcap_protobuf.decoder import DecoderFactory

    factory = DecoderFactory()
    where = f"{path}: {topic}"
    with _opened(path) as reader:
        for schema, channel, message in _messages(reader, topic, start):
            if channel.message_encoding == "json":
                fields = parse_json(message.data, where)
            else:
                decoder = factory.decoder_for(channel.message_encoding, schema)
                if decoder is None:
                    raise InputError(f"{where}: messages are neither protobuf nor JSON")
                fields = decoder(message.data)
            yield Message(schema.name, message.log_time, where, fields)


def _messages(reader: Any, topic: str | None, start: int) -> Iterator[tuple[Any, Any, Any]]:
    """Without an index the order is the file's own: sorting would load all of it."""
    summary = reader.get_summary()
    indexed = summary is not None and bool(summary.chunk_indexes)
    wanted = None if topic is None else [topic]
    yield from reader.iter_messages(wanted, log_time_order=indexed, starting_at=start)


def _get(message: Message, name: str, kind: type, default: Any) -> Any:
    """A field of ``kind``, which JSON may leave out."""
    fields = message.fields
    value = (
        fields.get(name, default) if isinstance(fields, Mapping) else getattr(fields, name, None)
    )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1 << 53 else None  # whole numbers are allowed
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{message.where}: {name} is missing or of another type")
    return value


def _stamp(message: Message) -> int:
    """Nanoseconds of the field ``timestamp``: sec and nsec in JSON, seconds and nanos else."""
    names = ("sec", "nsec") if isinstance(message.fields, Mapping) else ("seconds", "nanos")
    stamp = replace(message, fields=_get(message, "timestamp", object, None))
    seconds, rest = (_get(stamp, name, int, None) for name in names)
    if not (0 <= seconds < _MAX_SECONDS and 0 <= rest < 10**9):
        raise InputError(f"{message.where}: timestamp is out of range")
    return int(seconds * 10**9 + rest)


def parse_picture(message: Message) -> Picture:
    """A CompressedVideo or CompressedImage; :class:`InputError` if it is not one."""
    data = _get(message, "data", object, None)
    if isinstance(data, str):
        data = base64_bytes(data, f"{message.where}: data")
    if not isinstance(data, bytes) or not data:
        raise InputError(f"{message.where}: a picture without data")
    frame_id = _get(message, "frame_id", str, "")
    return Picture(_stamp(message), frame_id, data, _get(message, "format", str, "").lower())


def parse_fix(message: Message) -> Fix | None:
    """A LocationFix; None where it is no number or not on Earth (a receiver without a fix)."""
    latitude = _get(message, "latitude", float, math.nan)
    longitude = _get(message, "longitude", float, math.nan)
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    fields = message.fields
    if isinstance(fields, Mapping):
        heading, velocity = fields.get("heading"), None
    else:
        names = {field.name for field, _ in fields.ListFields()}
        heading = fields.heading if "heading" in names else None
        velocity = fields.velocity if "velocity" in names else None
    known = isinstance(heading, float) and math.isfinite(heading)
    return Fix(
        time=_stamp(message) / 1e9,
        latitude=latitude,
        longitude=longitude,
        heading=math.degrees(heading or 0.0) % 360 if known else None,  # radians from north
        speed=math.hypot(velocity.x, velocity.y) if velocity is not None else None,
    )


def parse_telemetry(message: Message) -> Telemetry:
    """What :mod:`incamera.recording.mcap_writer` writes of a :class:`Telemetry`."""
    acceleration = _get(message, "acceleration", list, None)
    if len(acceleration) != 3 or not all(isinstance(a, int | float) for a in acceleration):
        raise InputError(f"{message.where}: acceleration must be three numbers")
    x, y, z = (float(a) for a in acceleration)
    return Telemetry(
        time=_stamp(message) / 1e9,
        speed=_get(message, "speed", float, None),
        steering=_get(message, "steering", float, None),
        accelerator=_get(message, "accelerator", float, None),
        brake=_get(message, "brake", bool, None),
        gear=_get(message, "gear", int, None),
        blinker_left=_get(message, "blinker_left", bool, None),
        blinker_right=_get(message, "blinker_right", bool, None),
        autopilot=_get(message, "autopilot", int, None),
        acceleration=(x, y, z),
        sequence=_get(message, "sequence", int, None),
    )
