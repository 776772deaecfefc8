# SPDX-License-Identifier: Apache-2.0
"""Moments found in what the car says of itself. Pure functions over telemetry.

Telemetry may come at any rate, uneven, and with gaps. Nothing is concluded across a gap of more
than :data:`GAP` seconds, and only the speed's change and the *length* of the horizontal
acceleration are used: which of its axes points forward is not documented and seen both ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from incamera.recording.model import Telemetry
from incamera.trigger.campaign import HardBrake, Swerve, TakeOver

__all__ = ["GAP", "hard_brakes", "swerves", "take_overs"]

GAP = 1.5  # s; GPX and SRT have one sample a second
# Seconds over which a slope is taken: shorter ones drown in the steps of the values, longer ones
# miss what the hand does.
_SPEED_WINDOW = 0.4
_STEERING_WINDOW = 0.2
_STEERING_BY_CAR = frozenset({1, 2})  # self driving, autosteer

_Test = Callable[[Telemetry, Telemetry, Telemetry], bool]  # a window before, just before, now
_Interval = tuple[float, float]


def _runs(telemetry: Sequence[Telemetry]) -> Iterator[list[Telemetry]]:
    """Pieces without a gap, each strictly forward in time."""
    run: list[Telemetry] = []
    for sample in telemetry:
        if run and sample.time <= run[-1].time:
            continue
        if run and sample.time - run[-1].time > GAP:
            yield run
            run = []
        run.append(sample)
    if run:
        yield run


def _slopes(
    run: Sequence[Telemetry], window: float
) -> Iterator[tuple[Telemetry, Telemetry, Telemetry]]:
    """Each sample behind one a window before it, or the run's first, and its neighbour."""
    back = 0
    for at in range(1, len(run)):
        while back + 1 < at and run[at].time - run[back + 1].time >= window:
            back += 1
        yield run[back], run[at - 1], run[at]


def _sustained(
    telemetry: Sequence[Telemetry], test: _Test, hold: float, window: float
) -> list[_Interval]:
    """Stretches of at least ``hold`` seconds in which ``test`` keeps holding."""
    found: list[_Interval] = []
    for run in _runs(telemetry):
        begin: float | None = None
        end = 0.0
        for before, last, now in _slopes(run, window):
            if test(before, last, now):
                begin, end = last.time if begin is None else begin, now.time
                continue
            if begin is not None and end - begin >= hold:
                found.append((begin, end))
            begin = None
        if begin is not None and end - begin >= hold:
            found.append((begin, end))
    return found


def _slowing(before: Telemetry, now: Telemetry) -> float:
    """Mean deceleration between two samples in m/s2, positive when slowing."""
    return (before.speed - now.speed) / (now.time - before.time)


def hard_brakes(telemetry: Sequence[Telemetry], rule: HardBrake) -> list[_Interval]:
    """Where the car slows hard: its speed drops so, or the brake is on and the forces are such."""

    def braking(before: Telemetry, _: Telemetry, now: Telemetry) -> bool:
        if before.speed < rule.speed:
            return False
        x, y, _z = now.acceleration
        pressed = now.brake and before.brake and now.speed < before.speed
        return _slowing(before, now) >= rule.deceleration or (
            pressed and math.hypot(x, y) >= rule.deceleration
        )

    return _sustained(telemetry, braking, rule.hold, _SPEED_WINDOW)


def swerves(telemetry: Sequence[Telemetry], rule: Swerve) -> list[_Interval]:
    """Where the wheel is thrown round, or the car pulls sideways, at speed."""

    def swerving(before: Telemetry, last: Telemetry, now: Telemetry) -> bool:
        if min(before.speed, now.speed) < rule.speed:
            return False
        turned = abs(now.steering - before.steering) / (now.time - before.time)
        # What the change of speed explains is not sideways. Where it begins, the slope is late:
        # so the force has to be there twice.
        force = min(math.hypot(*each.acceleration[:2]) for each in (last, now))
        along = max(abs(_slowing(before, now)), abs(_slowing(last, now)))
        sideways = math.sqrt(max(0.0, force * force - along * along))
        return turned >= rule.rate or sideways >= rule.lateral

    return _sustained(telemetry, swerving, rule.hold, _STEERING_WINDOW)


def take_overs(telemetry: Sequence[Telemetry], rule: TakeOver) -> list[_Interval]:
    """Where the car stops steering itself and the driver acts at about that time."""
    full = max((sample.accelerator for sample in telemetry), default=0.0)
    # Tesla's own viewer reads a pedal of up to 1.2 as a share and beyond as per cent.
    pedal = rule.pedal / 100 if full <= 1.2 else rule.pedal

    def acted(near: Sequence[Telemetry]) -> bool:
        angles = [sample.steering for sample in near]
        return max(angles) - min(angles) >= rule.steering or any(
            sample.brake or sample.accelerator >= pedal for sample in near
        )

    found: list[_Interval] = []
    for run in _runs(telemetry):
        for at in range(1, len(run)):
            before, now = run[at - 1], run[at]
            ended = before.autopilot in _STEERING_BY_CAR and now.autopilot not in _STEERING_BY_CAR
            if ended and before.speed >= rule.speed and acted(_near(run, at, rule.within)):
                found.append((now.time, now.time))
    return found


def _near(run: Sequence[Telemetry], at: int, within: float) -> Sequence[Telemetry]:
    time, first, last = run[at].time, at, at
    while first > 0 and run[first - 1].time >= time - within:
        first -= 1
    while last + 1 < len(run) and run[last + 1].time <= time + within:
        last += 1
    return run[first : last + 1]
