# SPDX-License-Identifier: Apache-2.0
"""Where a person's eye comes in: between what was found and what is destroyed.

``redact_path`` asks one :class:`Editing` for an :class:`Edit` of each file. The edit is called
with every frame, in order, before its boxes are filled, and answers what to fill. Collecting
doubtful boxes for a page and applying a person's corrections are both editings.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from incamera.ids import Digest
from incamera.recording.model import Frame
from incamera.redaction.model import Cover

__all__ = ["Edit", "Editing", "File"]


@dataclass(frozen=True, slots=True)
class File:
    """One file that is going to be redacted."""

    relative: str  # as the report names it
    path: Path
    frames: int  # 1 for a picture


class Edit(Protocol):
    """The eye on one file. Called from one thread at a time, frame by frame."""

    def __call__(
        self, frame: Frame, covers: Sequence[Cover], doubts: Sequence[Cover]
    ) -> Sequence[Cover]:
        """What to destroy in ``frame``, in pixels as stored.

        ``covers``: what was found and proven. ``doubts``: what was found and is not destroyed,
        with the box that would be; each stays one number while it is seen. Neither is snapped
        or clipped yet.
        """
        ...


class Editing(Protocol):
    """The eye on one run."""

    @property
    def digest(self) -> Digest | None:
        """Of all that changes an output; None if every frame must be seen again."""
        ...

    def begin(self, files: Sequence[File], settings: Digest) -> None:
        """Called once, before any frame: what is to be done, and by what models and thresholds.

        Raises :class:`incamera.errors.InputError` if this eye is not for these files.
        """
        ...

    def file(self, relative: str) -> AbstractContextManager[Edit]:
        """The edit of one file; on a clean exit the file was seen to its end.

        May be called from several threads at once (pictures are done side by side).
        """
        ...
