# SPDX-License-Identifier: Apache-2.0
"""Encoding: redacted frames in, a video file out that holds them, their times and nothing else.

::

    with VideoWriter(Path("out.mp4"), inspect(Path("in.mp4"))) as writer:
        for frame in redacted:
            writer.write(frame)

The container is the source's, so that a file can keep its name:

===============  ==========  ==================================================================
source           written as  codec
===============  ==========  ==================================================================
mp4, mov         the same    H.264
matroska         matroska    H.264
webm             webm        VP9, since WebM allows no H.264
mpegts, flv      the same    H.264
avi              avi         H.264 if its count starts at 1, else Motion JPEG (see ``_codec``)
===============  ==========  ==================================================================

What leaves: sound, subtitles, data tracks, titles, creation times, positions, encoder tags, and
every SEI message, the encoder's own included. What stays: frame count, size, every time exactly,
pixel shape, rotation and colour tags. Odd sizes are written as 4:4:4, 12 bits as 10.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import av
import av.container
from av.bitstream import BitStreamFilterContext

from incamera import durable
from incamera.errors import InputError
from incamera.recording.model import RedactedFrame
from incamera.recording.probe import Probe

__all__ = ["VideoWriter"]

# Measured on three driving clips: superfast at 22 encodes 1.5 times as fast as veryfast at 20, at
# the same PSNR (38-46 dB) and about the same size; 21 leaves a little more for whoever learns from
# the pictures. No B-frames: in MP4 they would move the times, and Foxglove does not play them.
_X264 = {"preset": "superfast", "crf": "21", "bf": "0", "a53cc": "0"}
_VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "24", "b": "0", "row-mt": "1"}
_MJPEG = {"qmin": "2", "qmax": "4"}
_MUXERS = frozenset({"mp4", "mov", "matroska", "webm", "avi", "mpegts", "flv"})
_MPEG_RANGE, _SMPTE170M = 1, 6  # what FFmpeg makes of RGB where nothing else is said
_WINDOW = 32  # packets held back to find decoding times for presentation times out of order


class VideoWriter:
    """Writes :class:`RedactedFrame` only, in the order given, and checks the file it wrote.

    ``dest``: a path (appears whole or not at all) or a file open for reading and writing.
    ``like``: the source, whose container, size, time base, colours and rotation are kept.
    ``container``: another one than the source's, by its name in the table above.
    ``origin``: None keeps every pts as it is; a time on the recording's clock becomes 0, to the
    nearest tick (to cut a clip out of a drive with all cameras in step).

    :class:`InputError` if a time cannot be held exactly by the container.
    """

    def __init__(
        self,
        dest: BinaryIO | Path,
        like: Probe,
        *,
        container: str | None = None,
        origin: float | None = None,
    ) -> None:
        self._dest = dest
        self._like = like
        self._muxer = container or like.container
        self._origin = origin
        self._shift: Fraction | None = None  # ticks from the first frame's clock to the origin's
        self._stack = contextlib.ExitStack()
        self._times: deque[int] = deque()  # pts of frames inside the encoder
        self._held: deque[av.Packet[Any]] = deque()
        self._written = hashlib.sha256()
        self._last_dts: int | None = None
        self.frames = 0

    def __enter__(self) -> Self:
        if self._muxer not in _MUXERS:
            raise InputError(
                f"{self._like.path}: cannot write {self._muxer} files",
                hint="convert the recording to MP4 first",
            )
        with contextlib.ExitStack() as stack:
            dest = self._dest
            self._file = (
                stack.enter_context(durable.atomic(dest)) if isinstance(dest, Path) else dest
            )
            self._container = av.open(
                self._file, "w", format=self._muxer, container_options=self._options()
            )
            if self._muxer == "mpegts":  # its service table would name the encoder
                self._container.metadata.update(service_provider="-", service_name="-")
            stack.callback(self._abandon)
            self._stream = self._add_stream()
            self._stack = stack.pop_all()
        self._filter: BitStreamFilterContext | None = None
        return self

    def _options(self) -> dict[str, str]:
        options = {"fflags": "bitexact"}  # no version, no date, no random number
        if self._muxer in {"mp4", "mov"}:
            # The edit list counts in the movie's time scale: a coarser one would move the start.
            scale = str(self._like.time_base.denominator)
            options |= {"video_track_timescale": scale, "movie_timescale": scale}
        if self._muxer == "mpegts":
            options["mpegts_copyts"] = "1"
        return options

    def _codec(self) -> tuple[str, dict[str, str]]:
        if self._muxer == "webm":
            return "libvpx-vp9", _VP9
        # AVI has no times, it counts frames; H.264 in it reads as starting at 1, others at 0.
        if self._muxer == "avi" and self._like.start_pts == 0:
            return "mjpeg", _MJPEG
        return "libx264", _X264

    def _add_stream(self) -> av.VideoStream:
        like = self._like
        name, options = self._codec()
        stream = self._container.add_stream(name, rate=like.rate or 30, options=dict(options))
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height = like.width, like.height
        context.pix_fmt = _pixel_format(name, like)
        context.time_base = like.time_base
        context.sample_aspect_ratio = like.sample_aspect
        context.color_range, context.colorspace = like.color_range, like.colorspace
        if av.VideoFormat(like.pixel_format).is_rgb:
            context.color_range, context.colorspace = _MPEG_RANGE, _SMPTE170M  # as reformatted
        context.color_primaries, context.color_trc = like.color_primaries, like.color_trc
        context.flags |= av.codec.context.Flags.bitexact
        context.thread_type = "AUTO"
        if like.display_matrix is not None:
            stream.set_display_matrix(like.display_matrix)
        return stream

    def write(self, frame: RedactedFrame) -> None:
        """Append ``frame``; its picture is used up."""
        if not isinstance(frame, RedactedFrame):
            raise TypeError("only a RedactedFrame can be written")
        picture, like = frame.picture, self._like
        if (picture.width, picture.height) != (like.width, like.height):
            raise InputError(
                f"{like.path}: frame {frame.index} is {picture.width}x{picture.height}, "
                f"not {like.width}x{like.height}"
            )
        self._times.append(self._pts(frame))
        context = self._stream.codec_context
        if picture.format.name != context.pix_fmt:
            picture = picture.reformat(format=context.pix_fmt)
        # The encoder sees an even beat: packets come out in this order and get their times then.
        beat = max(1, round(1 / ((like.rate or 30) * like.time_base)))
        picture.pts, picture.time_base = self.frames * beat, like.time_base
        picture.pict_type = 0  # the source's I, P and B are not orders to the encoder
        self.frames += 1
        self._encode(picture)

    def _pts(self, frame: RedactedFrame) -> int:
        ticks = frame.pts * frame.time_base / self._like.time_base
        if self._origin is not None:
            if self._shift is None:
                start = Fraction(frame.time) - Fraction(self._origin)
                self._shift = ticks - start / self._like.time_base
            return round(ticks - self._shift)
        if ticks.denominator != 1:
            raise InputError(f"{self._like.path}: frame {frame.index} has a time between two ticks")
        return ticks.numerator

    def _encode(self, picture: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(picture):
                for clean in self._without_sei(packet):
                    self._hold(clean)
            if picture is None:
                self._last_duration()
                while self._held:
                    self._release()
        except (av.FFmpegError, ValueError) as error:
            raise InputError(f"{self._like.path}: cannot encode: {error}") from error

    def _without_sei(self, packet: av.Packet[Any]) -> list[av.Packet[Any]]:
        if self._stream.codec_context.name != "libx264":
            return [packet]
        if self._filter is None:
            self._filter = BitStreamFilterContext("filter_units=remove_types=6", self._stream)
        return self._filter.filter(packet)

    def _hold(self, packet: av.Packet[Any]) -> None:
        packet.pts, packet.time_base = self._times.popleft(), self._like.time_base
        if self._held:
            before = self._held[-1]
            before.duration = max(0, packet.pts - (before.pts or 0))
            packet.duration = before.duration
        self._held.append(packet)
        if len(self._held) > _WINDOW:
            self._release()

    def _last_duration(self) -> None:
        """The last frame lasts to the end of the source, if it is the source's last one."""
        last = self._held[-1]
        left = self._like.end_pts - (last.pts or 0)
        if self._origin is None and left > 0:
            last.duration = left

    def _release(self) -> None:
        """Send the oldest packet on its way.

        Decoding times must rise and stay at or below presentation times, which in some phones'
        files do not rise: so each is at most its pts, and less than those of all that follow.
        """
        dts = None
        for packet in reversed(self._held):
            assert packet.pts is not None
            dts = packet.pts if dts is None else min(packet.pts, dts - 1)
        assert dts is not None
        before = self._last_dts
        if before is not None and dts <= before:
            raise InputError(f"{self._like.path}: two frames have the same time or stand far apart")
        packet = self._held.popleft()
        self._written.update(_line(packet.pts or 0, self._like.time_base))
        packet.dts = self._last_dts = dts
        if self._muxer == "avi" and self._like.start_pts:  # each reads at the count of the next
            packet.dts = dts - self._like.start_pts if before is None else before
        if self._muxer == "avi":
            packet.pts = packet.dts
        packet.stream = self._stream
        self._container.mux_one(packet)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if error is not None:
                self._abandon()
                self._stack.__exit__(kind, error, trace)
                return
            if not self.frames:
                raise InputError(f"{self._like.path}: no frame to write")
            self._encode(None)
            self._container.close()
            self._check()

    def _abandon(self) -> None:
        """Let go of the container; a failure here (a full disk) has been told already."""
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()

    def _check(self) -> None:
        """Read the times back from what was written: they must be the ones handed in."""
        self._file.flush()
        self._file.seek(0)
        found, count = hashlib.sha256(), 0
        try:
            with av.open(self._file, "r") as container:
                for packet in container.demux(container.streams.video[0]):
                    if packet.size:
                        found.update(_line(packet.pts or 0, packet.time_base))
                        count += 1
        except (av.FFmpegError, IndexError) as error:
            raise InputError(f"{self._like.path}: what was written cannot be read back") from error
        if count != self.frames or found.digest() != self._written.digest():
            raise InputError(
                f"{self._like.path}: a file of kind {self._muxer} cannot hold the times of "
                "its frames exactly",
                hint="convert the recording to MP4 first",
            )


def _line(pts: int, time_base: Fraction) -> bytes:
    return f"{pts * time_base}\n".encode()


def _pixel_format(codec: str, like: Probe) -> str:
    """The source's pixel format, or the nearest that the encoder takes at this size."""
    offered = {f.name for f in av.Codec(codec, "w").video_formats or ()}
    source = av.VideoFormat(like.pixel_format, like.width, like.height)
    x264 = codec == "libx264"  # VP9 and JPEG crop odd sizes by themselves
    odd_width, odd_height = x264 and like.width % 2 == 1, x264 and like.height % 2 == 1
    jpeg = codec == "mjpeg" or like.pixel_format.startswith("yuvj")
    if like.pixel_format in offered and not (odd_width or odd_height or codec == "mjpeg"):
        return like.pixel_format
    whole = source.is_rgb or len(source.components) < 3
    wide = odd_width or whole or source.chroma_width() == like.width
    tall = odd_height or wide or source.chroma_height() == like.height
    sampling = "444" if wide or odd_height else "422" if tall else "420"
    deep = max(component.bits for component in source.components) > 8
    wanted = f"yuv{'j' if jpeg and not deep else ''}{sampling}p{'10le' if deep else ''}"
    return wanted if wanted in offered else f"yuv{sampling}p"
