# SPDX-License-Identifier: Apache-2.0
"""A clip as one MCAP file that Foxglove plays: videos, fixes, telemetry, in order of time.

::

    write_mcap(Path("clip.mcap"), {"front": Path("front.mp4")}, start=1777629600.0, fixes=fixes)

The videos' packets are taken as they are, only from MP4's form to Annex B: nothing is decoded or
encoded again. So they must be H.264 or H.265 without B-frames, as ``VideoWriter`` makes them.
"""

from __future__ import annotations

import contextlib
import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.bitstream import BitStreamFilterContext

from incamera import durable
from incamera.encoding import canonical
from incamera.errors import InputError
from incamera.recording.foxglove import TELEMETRY
from incamera.recording.model import Fix, Telemetry
from incamera.recording.probe import opened

__all__ = ["write_mcap"]

_FILTERS = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}
_FORMATS = {"h264": "h264", "hevc": "h265"}
_NUMBER, _WHOLE, _FLAG = {"type": "number"}, {"type": "integer"}, {"type": "boolean"}
_TELEMETRY_SCHEMA = {
    "title": TELEMETRY,
    "type": "object",
    "properties": {
        "timestamp": {"type": "object", "properties": {"sec": _NUMBER, "nsec": _NUMBER}},
        "acceleration": {"type": "array", "items": _NUMBER},
        **dict.fromkeys(("speed", "steering", "accelerator"), _NUMBER),
        **dict.fromkeys(("gear", "autopilot", "sequence"), _WHOLE),
        **dict.fromkeys(("brake", "blinker_left", "blinker_right"), _FLAG),
    },
}
_Timed = tuple[int, int, int, bytes]  # ns, channel, number within the channel, message


def write_mcap(
    dest: Path | BinaryIO,
    tracks: Mapping[str, Path],
    *,
    start: float,
    fixes: Sequence[Fix] = (),
    telemetry: Sequence[Telemetry] = (),
) -> None:
    """Write ``dest`` (a path appears whole or not at all).

    ``tracks``: MP4 files by camera; ``start``: the time that their pts 0 stands for, on the same
    clock as ``fixes`` and ``telemetry``. :class:`InputError` if a video is not H.264 or H.265
    without B-frames.
    """
    from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
    from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
    from mcap.writer import Writer
    from mcap_protobuf.schema import register_schema

    with contextlib.ExitStack() as stack:
        file = stack.enter_context(durable.atomic(dest)) if isinstance(dest, Path) else dest
        writer: Any = Writer(file)  # typed in part
        writer.start(library="incamera")
        streams: list[Iterator[_Timed]] = []
        video_schema = register_schema(writer, CompressedVideo) if tracks else 0
        for camera, path in sorted(tracks.items()):
            channel = writer.register_channel(f"/camera/{camera}", "protobuf", video_schema)
            streams.append(_video(channel, camera, path, start, CompressedVideo))
        if fixes:
            schema = register_schema(writer, LocationFix)
            channel = writer.register_channel("/fix", "protobuf", schema)
            streams.append(_timed(channel, fixes, lambda fix: _fix(fix, LocationFix)))
        if telemetry:
            schema = writer.register_schema(TELEMETRY, "jsonschema", canonical(_TELEMETRY_SCHEMA))
            channel = writer.register_channel("/telemetry", "json", schema)
            streams.append(_timed(channel, telemetry, _telemetry))
        for time, channel, number, data in heapq.merge(*streams):
            writer.add_message(channel, time, data, publish_time=time, sequence=number)
        writer.finish()


def _nanoseconds(time: float | Fraction) -> int:
    exact = round(Fraction(time) * 10**9)
    if exact < 0:
        raise InputError(f"a time before 1970: {float(time):.3f} s")
    return exact


def _timed(channel: int, values: Sequence[Any], encode: Callable[[Any], bytes]) -> Iterator[_Timed]:
    for number, value in enumerate(sorted(values, key=lambda v: float(v.time))):
        yield _nanoseconds(value.time), channel, number, encode(value)


def _fix(fix: Fix, message: Callable[[], Any]) -> bytes:
    made = message()
    made.timestamp.FromNanoseconds(_nanoseconds(fix.time))
    made.frame_id = "car"
    made.latitude, made.longitude = fix.latitude, fix.longitude
    if fix.heading is not None:
        made.heading = math.radians(fix.heading)
    return bytes(made.SerializeToString(deterministic=True))


def _telemetry(telemetry: Telemetry) -> bytes:
    fields = asdict(telemetry)
    del fields["fix"]  # a channel of its own
    seconds, rest = divmod(_nanoseconds(fields.pop("time")), 10**9)
    fields["acceleration"] = list(telemetry.acceleration)
    return canonical(fields | {"timestamp": {"sec": seconds, "nsec": rest}})


def _video(
    channel: int, camera: str, path: Path, start: float, message: Callable[..., Any]
) -> Iterator[_Timed]:
    with opened(path) as (container, stream):
        codec = stream.codec_context.name
        if codec not in _FILTERS:
            raise InputError(f"{path}: {codec} video cannot go into an MCAP file")
        annexb = BitStreamFilterContext(_FILTERS[codec], stream)
        last, number = -1, 0
        try:
            for packet in _filtered(annexb, container.demux(stream)):
                if packet.pts is None:
                    raise InputError(f"{path}: frame {number} has no time")
                time = _nanoseconds(Fraction(start) + packet.pts * packet.time_base)
                if time <= last:
                    raise InputError(f"{path}: has B-frames, which Foxglove does not play")
                made = message(frame_id=camera, data=bytes(packet), format=_FORMATS[codec])
                made.timestamp.FromNanoseconds(time)
                yield time, channel, number, made.SerializeToString(deterministic=True)
                last, number = time, number + 1
        except av.FFmpegError as error:
            raise InputError(f"{path}: unreadable: {error.strerror}") from error


def _filtered(
    annexb: BitStreamFilterContext, packets: Iterator[av.Packet[Any]]
) -> Iterator[av.Packet[Any]]:
    for packet in packets:
        if packet.size:
            yield from annexb.filter(packet)
    yield from annexb.filter(None)
