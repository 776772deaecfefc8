# SPDX-License-Identifier: Apache-2.0
"""Small films made on the spot, and what is in a film, for tests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from incamera.recording import sei
from incamera.recording.model import Frame, RedactedFrame, Telemetry
from incamera.recording.video import VideoTrack

CLIPS = Path(__file__).parents[2] / "shared" / "data" / "clips"


def clip(name: str) -> Path:
    """A real clip of ``../shared/data``; skips the test where there is none."""
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"needs ../shared/data/clips/{name}")
    return path


def film(
    path: Path,
    *,
    codec: str = "libx264",
    times: Sequence[int] = range(12),
    time_base: Fraction = Fraction(1, 25),
    size: tuple[int, int] = (64, 48),
    pixel_format: str = "yuv420p",
    aspect: Fraction | None = None,
    rotation: float | None = None,
    tags: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    rate: int = 25,
) -> Path:
    """A film of coloured noise with a frame at each of ``times``."""
    width, height = size
    with av.open(path, "w", container_options=muxing or {}) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=rate, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = time_base
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for number, pts in enumerate(times):
            noise = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
            picture = av.VideoFrame.from_ndarray(noise).reformat(width, height, "rgb24")
            picture.pts, picture.time_base = pts, time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def with_telemetry(path: Path, telemetry: Sequence[Telemetry]) -> Path:
    """The MP4 at ``path`` with one SEI message in front of each picture, in place."""
    return with_units(path, [sei.encode(said) for said in telemetry])


def with_units(path: Path, units: Sequence[bytes]) -> Path:
    """The MP4 at ``path`` with a NAL unit in front of each picture, in place."""
    other = path.with_suffix(".sei.mp4")
    with av.open(path) as source, av.open(other, "w") as dest:
        stream = source.streams.video[0]
        copy = dest.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        order = {pts: i for i, pts in enumerate(sorted(p.pts or 0 for p in packets))}
        for packet in packets:
            made = av.Packet(sei.insert(bytes(packet), units[order[packet.pts or 0]]))
            made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
            made.duration, made.is_keyframe = packet.duration, packet.is_keyframe
            made.stream = copy
            dest.mux(made)
    other.replace(path)
    return path


def redacted(frame: Frame) -> RedactedFrame:
    """``frame`` as if it had been redacted; only tests may do this."""
    return RedactedFrame(
        frame.camera, frame.index, frame.pts, frame.time_base, frame.time, frame.picture
    )


def times(path: Path) -> list[Fraction]:
    """Exact times of all frames of a file, in order of presentation."""
    return [frame.pts * frame.time_base for frame in VideoTrack.open(path).frames()]


def nal_types(path: Path) -> set[int]:
    """The H.264 NAL unit types in all packets and the extradata of a file."""
    found = set[int]()
    with av.open(path) as container:
        stream = container.streams.video[0]
        lengths = (stream.codec_context.extradata or b"")[:1] == b"\x01"
        for packet in container.demux(stream):
            data = bytes(packet)
            units = sei.avcc_units(data) if lengths else sei.annexb_units(data)
            found |= {unit[0] & 0x1F for unit in units}
    return found


def bottomless(folder: Path) -> Path:
    """Folders in ``folder`` whose deepest has too long a path to be read by: by root, too."""
    name = "n" * 250
    here = os.open(folder, os.O_RDONLY)
    for _ in range(18):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    return folder / name
