# SPDX-License-Identifier: Apache-2.0
"""Decoding: every frame in order with its exact time, or an error. Never a frame less.

::

    track = VideoTrack.single(inspect(Path("clip.mp4")))
    for frame in track.frames(start=2.0, end=4.5):
        frame.pts, frame.time_base, frame.time, frame.picture

FFmpeg mends what it can: it fills a damaged picture from its neighbours and goes on after a
missing one. That would let a picture nobody looked at pass, so each packet that shows a picture
must come out as exactly one frame with its own time, unmarked by the decoder's error flags. What
no decoder can notice (damage that is itself a valid stream) is redacted as it is seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container

from incamera.errors import InputError
from incamera.recording import nal
from incamera.recording.model import Frame
from incamera.recording.probe import Probe, inspect, opened

__all__ = ["Expected", "Piece", "VideoTrack", "decode"]

_CUT_HINT = "leave the file out, or repair a copy of it first"
_MAX_DELAY = 128  # frames inside a decoder: H.264 allows 16 for reordering, each thread adds one


@dataclass(slots=True)
class Expected:
    """The times of the packets sent to the decoder whose frames are not yet out.

    Holds no more than the decoder does: reordering depth and threads. The order of the times is
    the file's own affair: some phones' files show a frame after one with a later time.
    """

    path: Path
    index: int  # of the next frame
    times: list[int] = field(default_factory=list)

    def sent(self, packet: av.Packet[Any], codec: str) -> None:
        """Note a packet on its way in."""
        if packet.is_corrupt:
            raise self.error("is damaged in the file")
        if packet.is_discard or (codec == "vp8" and not bytes(packet)[0] & 0x10):
            return  # before an edit list's start; VP8's hidden reference pictures
        if packet.pts is None:
            raise self.error("has no time")
        if len(self.times) >= _MAX_DELAY:
            raise self.error("is missing: the decoder gave nothing for it")
        self.times.append(packet.pts)

    def out(self, picture: av.VideoFrame) -> None:
        """Note a picture that came out, the one numbered ``index`` before this call."""
        if picture.is_corrupt:
            raise self.error("is damaged: the decoder had to make up parts of it")
        if picture.pts is None or picture.pts not in self.times:
            raise self.error("has a time that no packet has")
        self.times.remove(picture.pts)
        self.index += 1

    def end(self) -> None:
        """All packets went in, and the decoder gave up its last pictures."""
        if self.times:
            raise self.error("or one before it is missing: the decoder gave nothing for it")

    def error(self, what: str) -> InputError:
        """That something is wrong with the next frame."""
        return InputError(f"{self.path}: frame {self.index} {what}", hint=_CUT_HINT)


def decode(probe: Probe, first_pts: int | None = None) -> Iterator[tuple[int, av.VideoFrame]]:
    """Index and picture of each frame of one file, from the one with ``pts >= first_pts`` on.

    Raises :class:`InputError`, naming file and frame, at whatever cannot be decoded, is missing
    or is fewer than the file declares.
    """
    if first_pts is None or first_pts <= probe.start_pts:
        yield from _run(probe, None, 0)
        return
    index, keyframe = _locate(probe, first_pts)
    last = -1
    try:
        for number, picture in _run(probe, keyframe, index):
            if picture.pts is not None and picture.pts >= first_pts:
                last = number
                yield number, picture
    except InputError:
        # A keyframe inside the film may lean on pictures before it after all. If it does not,
        # this comes to the same error.
        for number, picture in _run(probe, None, 0):
            if number > last and picture.pts is not None and picture.pts >= first_pts:
                yield number, picture


def _locate(probe: Probe, first_pts: int) -> tuple[int, int | None]:
    """The last keyframe shown at or before ``first_pts``: its frame number and pts."""
    keyframe, keyframe_dts, shown = None, 0, list[int]()
    with opened(probe.path) as (container, stream):
        for packet in _packets(probe, container, stream):
            if packet.pts is None or packet.dts is None:
                return 0, None
            if packet.dts > first_pts:
                break
            if packet.is_keyframe and packet.pts <= first_pts and not packet.is_discard:
                keyframe, keyframe_dts = packet.pts, packet.dts
            if not packet.is_discard:
                shown.append(packet.pts)
    if keyframe is None or keyframe_dts > keyframe:
        return 0, None
    return sum(pts < keyframe for pts in shown), keyframe


def _packets(
    probe: Probe, container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.Packet[av.VideoStream]]:
    try:
        for packet in container.demux(stream):
            if packet.size:  # the last one is empty: it only flushes
                yield packet
    except av.FFmpegError as error:
        raise InputError(f"{probe.path}: unreadable: {error.strerror}", hint=_CUT_HINT) from error


def _run(probe: Probe, keyframe: int | None, index: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode from ``keyframe`` (None: the beginning), frame number ``index``, to the end."""
    expected = Expected(probe.path, index)
    with opened(probe.path) as (container, stream):
        context = stream.codec_context
        stream.thread_type = "AUTO"
        context.options = {"err_detect": "explode"}
        lengths = nal.length_size(context.extradata) if context.name == "h264" else 0
        if keyframe is not None:
            container.seek(keyframe, stream=stream, backward=True)
        started = keyframe is None
        for packet in _packets(probe, container, stream):
            if not started:
                started = packet.is_keyframe and packet.pts == keyframe
            if not started or _leads(packet, keyframe):
                continue
            expected.sent(packet, context.name)
            if context.name == "h264":
                packet.update(nal.hide_user_data(bytes(packet), lengths))
            yield from _decoded(expected, context, packet)
        if not started:
            raise expected.error("cannot be found by seeking")
        yield from _decoded(expected, context, None)
        expected.end()
    if keyframe is None and expected.index != probe.frames:
        raise InputError(
            f"{probe.path}: ends after frame {expected.index - 1}, but declares {probe.frames}",
            hint=_CUT_HINT,
        )


def _leads(packet: av.Packet[av.VideoStream], keyframe: int | None) -> bool:
    """Whether the packet is shown before the keyframe it follows, and so needs one before it."""
    return keyframe is not None and packet.pts is not None and packet.pts < keyframe


def _decoded(
    expected: Expected,
    context: av.VideoCodecContext,
    packet: av.Packet[av.VideoStream] | None,
) -> Iterator[tuple[int, av.VideoFrame]]:
    try:
        pictures = context.decode(packet)
    except av.FFmpegError as error:
        raise expected.error(f"cannot be decoded: {error.strerror}") from error
    for picture in pictures:
        expected.out(picture)
        yield expected.index - 1, picture


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of a track, and the time on the recording's clock that its pts 0 stands for."""

    probe: Probe
    zero: float

    @property
    def start(self) -> float:
        """Time of the first frame."""
        return self.zero + self.probe.start

    @property
    def end(self) -> float:
        """Time just after the last frame."""
        return self.zero + self.probe.end

    def pts(self, time: float) -> int:
        """The smallest pts at or after ``time``."""
        # A frame's time is a float: one that was handed out must find its own frame again.
        exact = (Fraction(time) - Fraction(self.zero)) / self.probe.time_base
        near = round(exact)
        return near if self.time(near) >= time else near + 1

    def time(self, pts: int) -> float:
        """The time of ``pts``."""
        return self.zero + float(pts * self.probe.time_base)


class VideoTrack:
    """One camera's video files, one after the other, read as one stream.

    A single file keeps its pts. In a chain, each later file's pts are moved by the difference
    of the files' zero times, so that they rise through the whole track; its time base is its own.
    """

    def __init__(self, camera: str, pieces: Sequence[Piece]) -> None:
        """``pieces`` in order of time, at least one, all of one picture size."""
        sizes = {(p.probe.width, p.probe.height) for p in pieces}
        if len(sizes) != 1:
            names = ", ".join(str(p.probe.path) for p in pieces[:3])
            raise InputError(f"{names}: the picture size changes within one camera")
        for before, after in itertools.pairwise(pieces):
            if after.start < before.end - after.probe.start - 1.0:
                raise InputError(
                    f"{after.probe.path}: starts before {before.probe.path} ends",
                    hint="are two drives in one folder? put each in a folder of its own",
                )
        self.camera = camera
        self.pieces = tuple(pieces)
        self.probe = pieces[0].probe
        self.width, self.height = self.probe.width, self.probe.height
        self.start, self.end = pieces[0].start, pieces[-1].end
        self.sources: Sequence[Path] = tuple(p.probe.path for p in pieces)

    @classmethod
    def single(cls, probe: Probe, camera: str = "camera", zero: float = 0.0) -> VideoTrack:
        """A track of one file."""
        return cls(camera, [Piece(probe, zero)])

    @classmethod
    def open(cls, path: Path, camera: str = "camera", zero: float = 0.0) -> VideoTrack:
        """A track of the one file ``path``; errors as for :func:`probe.inspect`."""
        return cls.single(inspect(path), camera, zero)

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """Frames with ``start <= time < end`` (all by default), in order of presentation.

        Ends at the first frame at or after ``end``.
        """
        before = 0
        for piece in self.pieces:
            if start is None or piece.end > start:
                for frame in self._piece(piece, before, start):
                    if end is not None and frame.time >= end:
                        return
                    yield frame
            before += piece.probe.frames

    def _piece(self, piece: Piece, before: int, start: float | None) -> Iterator[Frame]:
        probe = piece.probe
        moved = round((Fraction(piece.zero) - Fraction(self.pieces[0].zero)) / probe.time_base)
        first = None if start is None or start <= piece.start else piece.pts(start)
        for index, picture in decode(probe, first):
            assert picture.pts is not None  # Expected.out refuses it
            yield Frame(
                camera=self.camera,
                index=before + index,
                pts=picture.pts + moved,
                time_base=probe.time_base,
                time=piece.time(picture.pts),
                picture=picture,
            )
