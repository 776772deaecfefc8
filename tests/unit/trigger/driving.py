# SPDX-License-Identifier: Apache-2.0
"""Recordings without pictures, for triggers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from incamera.recording.model import Event, Frame, Recording, Telemetry


@dataclass
class Blind:
    """A track that lasts and shows nothing."""

    start: float = 0.0
    end: float = 60.0
    camera: str = "front"
    width: int = 640
    height: int = 480
    sources: Sequence[Path] = ()

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """No frames."""
        yield from ()


def drive(
    at: Callable[[Telemetry], Telemetry], *, rate: float = 36.0, end: float = 60.0
) -> list[Telemetry]:
    """Telemetry at ``rate`` of a steady 15 m/s, changed by ``at``."""
    count = int(end * rate)
    return [at(Telemetry(time=i / rate, speed=15.0, gear=1)) for i in range(count)]


def braking(start: float, rate: float, brake: bool = True) -> Callable[[Telemetry], Telemetry]:
    """From ``start`` on, slow by ``rate`` m/s2 until standing."""

    def at(sample: Telemetry) -> Telemetry:
        if sample.time < start:
            return sample
        speed = max(0.0, 15.0 - rate * (sample.time - start))
        return replace(sample, speed=speed, brake=brake and speed > 0)

    return at


def recording(
    telemetry: Sequence[Telemetry] = (), events: Sequence[Event] = (), name: str = "drive"
) -> Recording:
    """A minute with one blind camera."""
    return Recording(name=name, tracks={"front": Blind()}, telemetry=telemetry, events=events)
