# SPDX-License-Identifier: Apache-2.0
"""Parked footage that nobody consented to: kept for ten minutes, then removed, never looked at.

How old it is, is counted by the seconds that the agent watched, so no clock that is set back keeps
it longer. Time in which no agent ran counts by the machine's clock, as long as that did not jump.
"""

from __future__ import annotations

from pathlib import Path

from incamera import durable
from incamera.car.diary import Diary, File
from incamera.errors import Error

__all__ = ["turn_ring"]


def turn_ring(
    folder: Path, diary: Diary, *, age: int, wall: int, ring: int, unsure: bool
) -> list[str]:
    """Remove what is older than ``ring`` seconds; one sentence for each that could not be.

    ``age``: seconds that agents have watched, ever; ``wall``: POSIX seconds; ``unsure``: the
    clock jumped. The file goes first, and then what is known of it says so: after a crash in
    between it is not there, and is noted the next time.
    """
    failed = []
    for file in diary.open():
        if file.origin != "parked" or file.consent or not file.settled:
            continue
        if not _old(file, age, wall, ring, unsure):
            continue
        try:
            durable.remove(folder / file.path)
        except Error as error:
            failed.append(f"parked footage that should be gone stays: {error.message}")
            continue
        diary.became([file.path], "removed", "parked, and nobody consented to that")
    return failed


def _old(file: File, age: int, wall: int, ring: int, unsure: bool) -> bool:
    return age - file.seen >= ring or (not unsure and wall - file.wall >= ring)
