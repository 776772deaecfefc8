# SPDX-License-Identifier: Apache-2.0
"""Recordings in MCAP files with Foxglove's schemas: one file, one recording.

A topic of CompressedVideo (H.264, H.265: Annex B, one frame a message, no B-frames) or of
CompressedImage (JPEG, PNG, WebP) is a camera, called by its ``frame_id`` or else its topic. The
topic with most LocationFix messages gives the fixes. Times are those in the messages, POSIX (UTC).
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from incamera.errors import InputError
from incamera.recording import foxglove, nal
from incamera.recording.foxglove import Picture
from incamera.recording.model import Fix, Frame, Recording, Telemetry, Track
from incamera.recording.probe import Probe
from incamera.recording.video import Expected

__all__ = ["McapTrack", "read", "recognise"]

_TICK = Fraction(1, 10**9)
_CODECS = {"h264": "h264", "h265": "hevc", "hevc": "hevc"}
_START_CODE = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_PICTURES = ((b"\xff\xd8\xff", "mjpeg"), (b"\x89PNG", "png"), (b"RIFF", "webp"))


def recognise(path: Path) -> bool:
    """Whether ``path`` is a file that starts like MCAP."""
    try:
        with path.open("rb") as file:
            return file.read(len(foxglove.MAGIC)) == foxglove.MAGIC
    except OSError:  # a folder, or unreadable: the last reader says so
        return False


def read(path: Path) -> Iterator[Recording]:
    """The recording in ``path``; :class:`InputError` if the file is damaged or has no camera."""
    known = foxglove.topics(path)
    tracks: dict[str, Track] = {}
    for topic, schema in sorted(known.items()):
        if schema in {"foxglove.CompressedVideo", "foxglove.CompressedImage"}:
            track = McapTrack.open(path, topic)
            while track.camera in tracks:
                track.camera = f"{track.camera}-{len(tracks) + 1}"
            tracks[track.camera] = track
    if not tracks:
        raise InputError(f"{path}: no camera in it (CompressedVideo or CompressedImage)")
    yield Recording(
        name=path.name,
        tracks=tracks,
        fixes=_fixes(path, [t for t, s in known.items() if s == "foxglove.LocationFix"]),
        telemetry=_telemetry(path, [t for t, s in known.items() if s == foxglove.TELEMETRY]),
        zoned=True,
        sources=[path],
    )


def _fixes(path: Path, topics: Sequence[str]) -> list[Fix]:
    best: list[Fix] = []
    for topic in sorted(topics):
        parsed = (foxglove.parse_fix(message) for message in foxglove.messages(path, topic))
        found = [fix for fix in parsed if fix is not None]
        best = found if len(found) > len(best) else best
    return sorted(best, key=lambda fix: fix.time)


def _telemetry(path: Path, topics: Sequence[str]) -> list[Telemetry]:
    found = [
        foxglove.parse_telemetry(message)
        for topic in sorted(topics)
        for message in foxglove.messages(path, topic)
    ]
    return sorted(found, key=lambda telemetry: telemetry.time)


@dataclass(frozen=True, slots=True)
class _Key:
    """A picture that needs no other: where decoding can start."""

    stamp: int
    logged: int
    index: int


class McapTrack:
    """One camera's topic. Holds its keyframes' times, and reads the file anew for frames."""

    def __init__(
        self,
        path: Path,
        topic: str,
        camera: str,
        codec: str,
        keys: Sequence[_Key],
        extent: range,
        frames: int,
    ) -> None:
        """``extent``: ns from the first stamp to just after the last frame. See :meth:`open`."""
        self.camera, self.topic = camera, topic
        self.codec = codec
        self.sources: Sequence[Path] = (path,)
        self._keys = keys
        self.start, self.end = extent.start / 1e9, extent.stop / 1e9
        first = next(self.frames(), None)
        if first is None:
            raise InputError(f"{path}: {topic}: no picture comes out of it")
        self.width, self.height = first.picture.width, first.picture.height
        self.probe = _probe(self, first.picture, frames)

    @classmethod
    def open(cls, path: Path, topic: str) -> McapTrack:
        """Look through ``topic`` once; :class:`InputError` if it is empty or starts mid-film."""
        keys: list[_Key] = []
        where, codec, camera, index = f"{path}: {topic}", "", "", -1
        first = last = step = 0
        for index, message in enumerate(foxglove.messages(path, topic)):
            picture = foxglove.parse_picture(message)
            if index == 0:
                codec, first = _codec(picture, where), picture.stamp
                camera = _camera(picture.frame_id or topic)
            elif picture.stamp <= last:
                raise InputError(f"{where}: frame {index} is not later than the one before it")
            else:
                step = picture.stamp - last
            last = picture.stamp
            if _is_key(picture, codec):
                keys.append(_Key(picture.stamp, message.logged, index))
        if index < 0:
            raise InputError(f"{where}: no picture in it")
        if not keys or keys[0].index > 0:
            raise InputError(f"{where}: frame 0 needs one before it, which is not there")
        extent = range(first, last + max(1, step))
        return cls(path, topic, camera, codec, keys, extent, index + 1)

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """Frames with ``start <= time < end`` (all by default), in order of presentation."""
        stamps = [key.stamp / 1e9 for key in self._keys]
        at = 0 if start is None else max(0, bisect.bisect_right(stamps, start) - 1)
        for frame in self._decoded(self._keys[at]):
            if end is not None and frame.time >= end:
                return
            if start is None or frame.time >= start:
                yield frame

    def _decoded(self, key: _Key) -> Iterator[Frame]:
        path = self.sources[0]
        expected = Expected(Path(f"{path}: {self.topic}"), key.index)
        context = av.CodecContext.create(self.codec, "r")
        assert isinstance(context, av.VideoCodecContext)
        context.options = {"err_detect": "explode"}
        context.thread_count = 1 if self.codec not in _CODECS.values() else 0
        try:
            for message in foxglove.messages(path, self.topic, key.logged):
                picture = foxglove.parse_picture(message)
                if picture.stamp < key.stamp:
                    continue
                hidden = nal.hide_user_data(picture.data, None) if self.codec == "h264" else None
                packet = av.Packet(hidden or picture.data)
                packet.pts = packet.dts = picture.stamp
                packet.time_base = _TICK
                expected.sent(packet, self.codec)
                yield from self._frames(expected, context.decode(packet))
            yield from self._frames(expected, context.decode(None))
        except av.FFmpegError as error:
            raise expected.error(f"cannot be decoded: {error.strerror}") from error
        expected.end()

    def _frames(self, expected: Expected, pictures: Sequence[av.VideoFrame]) -> Iterator[Frame]:
        for picture in pictures:
            expected.out(picture)
            assert picture.pts is not None
            yield Frame(
                camera=self.camera,
                index=expected.index - 1,
                pts=picture.pts,
                time_base=_TICK,
                time=picture.pts / 1e9,
                picture=picture,
            )


def _probe(track: McapTrack, picture: av.VideoFrame, frames: int) -> Probe:
    """What a writer has to know. In microseconds: nanoseconds are too fine for video files."""
    length = max(1, round((track.end - track.start) * 1_000_000))
    return Probe(
        path=track.sources[0],
        container="mcap",
        codec=track.codec,
        width=picture.width,
        height=picture.height,
        rate=Fraction(frames * 1_000_000, length).limit_denominator(1001),
        time_base=Fraction(1, 1_000_000),
        start_pts=0,
        end_pts=length,
        frames=frames,
        pixel_format=picture.format.name,
        color_range=picture.color_range,
        color_primaries=picture.color_primaries,
        color_trc=picture.color_trc,
        colorspace=picture.colorspace,
        sample_aspect=Fraction(1),
        display_matrix=None,
        created=track.start,
        location=None,
    )


def _camera(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:40] or "camera"


def _codec(picture: Picture, where: str) -> str:
    for magic, codec in _PICTURES:
        if picture.data.startswith(magic):
            return codec
    if picture.form in _CODECS and _START_CODE.search(picture.data[:64]):
        return _CODECS[picture.form]
    raise InputError(
        f"{where}: pictures of format {picture.form!r:.40} cannot be read",
        hint="incamera reads H.264 and H.265 in Annex B, JPEG, PNG and WebP",
    )


def _is_key(picture: Picture, codec: str) -> bool:
    """Whether a picture starts anew: H.264 type 5 (IDR); H.265 types 16-21 (IRAP)."""
    if codec == "h264":
        return any(m[1][0] & 0x1F == 5 for m in _START_CODE.finditer(picture.data))
    if codec == "hevc":
        return any(16 <= m[1][0] >> 1 & 0x3F <= 21 for m in _START_CODE.finditer(picture.data))
    return True
