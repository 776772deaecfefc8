# SPDX-License-Identifier: Apache-2.0
"""Writes pictures and telemetry as the car does: H.264 in MP4, an SEI before each picture."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from incamera.recording import sei
from incamera.recording.model import Telemetry
from incamera.recording.sample.canvas import Picture

__all__ = ["Film"]


class Film:
    """One MP4 file being written. The same pictures give the same bytes: one thread, no date."""

    def __init__(self, path: Path, size: tuple[int, int], rate: int) -> None:
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        options = {"preset": "ultrafast", "crf": "29", "bf": "0", "g": str(rate)}
        self._stream: VideoStream = self._container.add_stream(
            "libx264", rate=rate, options=options
        )
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1
        self._telemetry: dict[int, bytes] = {}
        self._count = 0

    def write(self, picture: Picture, telemetry: Telemetry) -> None:
        """Add one picture (RGB)."""
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
        frame.pts = self._count
        self._telemetry[self._count] = sei.encode(telemetry)
        self._count += 1
        for packet in self._stream.encode(frame):
            self._mux(packet)

    def _mux(self, packet: av.Packet[Any]) -> None:
        # libx264 hands out Annex B; the muxer turns it, our unit with it, into MP4's form.
        assert packet.pts is not None
        unit = self._telemetry.pop(packet.pts)
        filled = av.Packet(sei.insert(bytes(packet), unit, length_size=None))
        filled.pts, filled.dts, filled.duration = packet.pts, packet.dts, packet.duration
        filled.time_base, filled.stream = packet.time_base, packet.stream
        filled.is_keyframe = packet.is_keyframe
        self._container.mux(filled)

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            for packet in self._stream.encode():
                self._mux(packet)
        self._container.close()
