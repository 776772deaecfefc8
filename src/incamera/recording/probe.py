# SPDX-License-Identifier: Apache-2.0
"""What a video file is, told by its content: size, times, colours, and that it is whole.

::

    probe = inspect(Path("front.mp4"))     # InputError if empty, cut off, encrypted, not a video
    probe.width, probe.height, probe.start, probe.end
"""

from __future__ import annotations

import contextlib
import datetime
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.container

from incamera.errors import InputError
from incamera.recording import whole

__all__ = ["Probe", "inspect", "opened"]

_CONTAINERS = {
    "mov,mp4,m4a,3gp,3g2,mj2": "mp4",
    "matroska,webm": "matroska",
    "avi": "avi",
    "mpegts": "mpegts",
    "mpeg": "mpeg",
    "flv": "flv",
} | dict.fromkeys(("jpeg_pipe", "png_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe"), "picture")
# Playlists (HLS, concat) are not among them: they would make FFmpeg open other files.
_READABLE = (
    "mov,matroska,avi,mpegts,mpeg,flv,h264,hevc,jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
_ISO_6709 = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)", re.ASCII)
_BUFFER = 1 << 20  # bytes read from the file at a time
_DECLARED_SLACK = 1.0  # seconds that a declared duration may be longer than the frames (sound)


@dataclass(frozen=True, slots=True)
class Probe:
    """One video file. Times in seconds on the file's own clock (``pts * time_base``)."""

    path: Path
    container: str  # mp4, mov, matroska, webm, avi, mpegts, flv, mpeg, picture
    codec: str  # h264, hevc, vp9 ...
    width: int
    height: int
    rate: Fraction | None  # mean frames a second, as declared
    time_base: Fraction
    start_pts: int
    end_pts: int  # just after the last frame
    frames: int  # packets that show a picture
    pixel_format: str
    color_range: int  # these four: numbers of ITU-T H.273; 2 is "not said"
    color_primaries: int
    color_trc: int
    colorspace: int
    sample_aspect: Fraction  # width of a pixel by its height
    display_matrix: tuple[int, ...] | None  # nine numbers of ISO 14496-12, 8.2.2; None: upright
    created: float | None  # POSIX seconds (UTC) as the container says, mostly of the start
    location: tuple[float, float] | None  # latitude, longitude of one moment; a hint, no fix

    @property
    def start(self) -> float:
        """Time of the first frame."""
        return float(self.start_pts * self.time_base)

    @property
    def end(self) -> float:
        """Time just after the last frame."""
        return float(self.end_pts * self.time_base)


class _Nameless:
    """A file without its name.

    FFmpeg would look at it: at its ending, at ``%d`` (a series of pictures), at ``x:`` (a network
    address).
    """

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """``path`` as a container and its first video stream; every failure is an InputError."""
    head = whole.check_whole(path)
    with path.open("rb") as file:
        try:
            container = av.open(
                _Nameless(file),
                "r",
                container_options={"format_whitelist": _READABLE, "protocol_whitelist": "none"},
                metadata_errors="replace",
                buffer_size=_BUFFER,
            )
        except (av.FFmpegError, ValueError) as error:
            raise whole.no_video(path, head) from error
        with container:
            streams = [s for s in container.streams.video if not _is_cover(s)]
            if not streams or streams[0].codec_context is None:
                raise whole.no_video(path, head)
            if len(streams) > 1:  # two cameras in one file: one would be lost without a word
                raise InputError(
                    f"{path}: has {len(streams)} videos in it",
                    hint="split it first: ffmpeg -i FILE -map 0:v:0 -c copy FILE-1.mp4, and so on",
                )
            yield container, streams[0]


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def inspect(path: Path) -> Probe:
    """Look at ``path``, decode its first picture, and check that it is all there.

    Reads the whole file (without decoding) where the container has no index of its frames.
    """
    with opened(path) as (container, stream):
        indexed = _CONTAINERS.get(container.format.name) == "mp4"
        extent = _Extent.of_index(path, container, stream) if indexed else None
        extent = extent or _Extent.by_reading(path, container, stream)
    with opened(path) as (container, stream):
        picture = _first(path, container, stream)
        context = stream.codec_context
        return Probe(
            path=path,
            container=_container(path, container),
            codec=context.name,
            width=picture.width,
            height=picture.height,
            rate=stream.average_rate or None,
            time_base=_time_base(path, stream),
            start_pts=extent.start,
            end_pts=extent.end,
            frames=extent.frames,
            pixel_format=picture.format.name,
            color_range=picture.color_range,
            color_primaries=picture.color_primaries,
            color_trc=picture.color_trc,
            colorspace=picture.colorspace,
            sample_aspect=stream.sample_aspect_ratio or Fraction(1),
            display_matrix=_display_matrix(picture),
            created=_created(container, stream),
            location=_location(container),
        )


def _time_base(path: Path, stream: av.VideoStream) -> Fraction:
    if not stream.time_base:
        raise InputError(f"{path}: the video says nothing about its time base")
    return stream.time_base


def _container(path: Path, container: av.container.InputContainer) -> str:
    name = _CONTAINERS.get(container.format.name, container.format.name)
    if name == "mp4" and container.metadata.get("major_brand", "").strip() == "qt":
        return "mov"
    if name == "matroska":
        with path.open("rb") as file:
            return "webm" if whole.is_webm(file.read(64)) else name
    return name


def _first(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream
) -> av.VideoFrame:
    try:
        for picture in container.decode(stream):
            return picture
    except av.FFmpegError as error:
        raise InputError(f"{path}: frame 0 cannot be decoded: {error.strerror}") from error
    raise InputError(f"{path}: no picture in it")


def _display_matrix(picture: av.VideoFrame) -> tuple[int, ...] | None:
    try:
        side_data: Any = picture.side_data  # typed for motion vectors only
        return tuple(memoryview(bytes(side_data["DISPLAYMATRIX"])).cast("i"))
    except KeyError:
        return None
    except ValueError:  # beside it lies a kind of data that PyAV does not know yet
        turned = math.radians(picture.rotation)
        cos, sin = round(math.cos(turned) * 65536), round(math.sin(turned) * 65536)
        return (cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30) if picture.rotation else None


def _created(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    for tags in (container.metadata, stream.metadata):
        try:
            when = datetime.datetime.fromisoformat(tags["creation_time"])
        except (KeyError, ValueError):
            continue
        # 1904 and 1970 are what an unset field reads as.
        if when.year > 1970:
            return when.replace(tzinfo=when.tzinfo or datetime.UTC).timestamp()
    return None


def _location(container: av.container.InputContainer) -> tuple[float, float] | None:
    """From a tag in the form of ISO 6709, ``+47.3769+008.5417/``."""
    for name, value in container.metadata.items():
        match = _ISO_6709.match(value) if "location" in name.lower() else None
        if match:
            latitude, longitude = float(match[1]), float(match[2])
            return (latitude, longitude) if latitude or longitude else None
    return None


@dataclass(frozen=True, slots=True)
class _Extent:
    start: int
    end: int
    frames: int

    @classmethod
    def of_index(
        cls, path: Path, container: av.container.InputContainer, stream: av.VideoStream
    ) -> _Extent | None:
        """From the sample table of an MP4, which also says where each frame's bytes must lie."""
        entries = stream.index_entries
        if not stream.frames or stream.duration is None or stream.start_time is None:
            return None
        if entries is None or not 0 <= stream.frames - len(entries) <= 2:
            return None  # an edit list that repeats or reorders, or fragments: read it all
        size, shown = path.stat().st_size, 0
        for number, entry in enumerate(entries):
            if entry.pos + entry.size > size:
                raise InputError(
                    f"{path}: cut off: frame {number} lies behind the end of the file",
                    hint="leave the file out, or repair a copy of it first",
                )
            shown += not entry.is_discard
        # The declared duration can end before the last frame starts: where times are uneven.
        end = max(stream.start_time + stream.duration, _end_of_last(path, container, stream))
        return cls(stream.start_time, end, shown)

    @classmethod
    def by_reading(
        cls, path: Path, container: av.container.InputContainer, stream: av.VideoStream
    ) -> _Extent:
        starts: list[int] = []
        last, frames = (0, 0), 0
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                frames += 1
                if packet.pts is not None:
                    starts = [min([packet.pts, *starts])]
                    last = max(last, (packet.pts, packet.duration or 0))
        except av.FFmpegError as error:
            raise InputError(
                f"{path}: unreadable after frame {frames}: {error.strerror}"
            ) from error
        if not starts:
            raise InputError(
                f"{path}: its frames carry no times",
                hint="put a raw stream into MP4 first: ffmpeg -r RATE -i FILE -c copy FILE.mp4",
            )
        extent = cls(starts[0], sum(last), frames)
        extent._check_declared(path, container, stream)
        return extent

    def _check_declared(
        self, path: Path, container: av.container.InputContainer, stream: av.VideoStream
    ) -> None:
        """Refuse a file that promises more than it holds. Sound may outlast the picture."""
        declared = _declared_seconds(container, stream)
        found = float(self.end * _time_base(path, stream))
        if declared is not None and found + _DECLARED_SLACK < declared:
            raise InputError(
                f"{path}: cut off: frames end at {found:.2f} s of {declared:.2f} s declared",
                hint="leave the file out, or repair a copy of it first",
            )


def _end_of_last(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """Where the frames after the last keyframe end; leaves ``container`` at its end."""
    try:
        container.seek(stream.index_entries[-1].timestamp, stream=stream)
        ends = [
            packet.pts + (packet.duration or 0)
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]
        return max(ends, default=0)
    except av.FFmpegError as error:
        raise InputError(f"{path}: unreadable at its end: {error.strerror}") from error


def _declared_seconds(container: Any, stream: av.VideoStream) -> float | None:
    tag = stream.metadata.get("DURATION", "")  # Matroska's own, for this stream: 00:00:05.012000000
    with contextlib.suppress(ValueError):
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.format.name == "mpegts" or container.duration is None:
        return None  # MPEG-TS declares nothing: its duration is a guess of the demuxer
    only = len(container.streams) == 1
    return float((container.start_time or 0) + container.duration) / 1e6 if only else None
