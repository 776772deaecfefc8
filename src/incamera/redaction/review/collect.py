# SPDX-License-Identifier: Apache-2.0
"""Gathers, while films are redacted, what the review page shows.

Memory is bounded: of each sort at most :data:`MOST` questions are kept, the least certain; the
whole frames grow smaller where there are many of them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from incamera.ids import Digest
from incamera.recording.model import Frame
from incamera.redaction.journal import file_digest
from incamera.redaction.model import Cover
from incamera.redaction.review.editing import Edit, File
from incamera.redaction.review.questions import Question, Watch
from incamera.redaction.review.thumbs import encode, whole

__all__ = ["MOST", "Film", "Findings", "Least", "Reviewing", "Still"]

MOST = 150  # questions of each sort: a glance at each takes a minute or two
_EVERY = 40  # frames between two whole frames of a film, about
_FEWEST, _PLENTY = 4, 24  # whole frames of one film
_ALL = 600  # whole frames of a run
_WIDTHS = ((100, 960), (300, 640), (_ALL, 400))  # so many whole frames: so many pixels wide


@dataclass(frozen=True, slots=True)
class Still:
    """One whole frame as it was written, for a person to search."""

    source: str
    frame: int
    image: str  # a data: address; upright
    turns: int  # right angles it was turned left by


@dataclass(slots=True)
class Film:
    """One file that was seen to its end."""

    digest: Digest
    frames: int
    width: int = 0  # of the frames as stored
    height: int = 0
    times: tuple[float, float] = (0.0, 0.0)  # of the first and last frame, in seconds


class Least:
    """The least certain questions of each sort; how many more there were."""

    def __init__(self) -> None:
        self.covered: list[Question] = []
        self.missed: list[Question] = []
        self.left_out = {True: 0, False: 0}  # by Question.covered

    def add(self, question: Question) -> None:
        """Keep ``question`` while it is among the least certain."""
        found = self.covered if question.covered else self.missed
        found.append(question)
        if len(found) >= 2 * MOST:
            self._cut(found)

    def merge(self, other: Least) -> None:
        """Take over what another kept and left out."""
        for question in (*other.covered, *other.missed):
            self.add(question)
        for sort, count in other.left_out.items():
            self.left_out[sort] += count

    def settle(self) -> None:
        """Put all in order, and no more than :data:`MOST` of each sort."""
        self._cut(self.covered)
        self._cut(self.missed)

    def _cut(self, found: list[Question]) -> None:
        found.sort(key=lambda question: (question.doubt, question.source, question.course.first))
        if len(found) > MOST:
            self.left_out[found[0].covered] += len(found) - MOST
            del found[MOST:]


@dataclass(slots=True)
class Findings:
    """What a page is made of."""

    settings: Digest
    films: dict[str, Film] = field(default_factory=dict)
    questions: Least = field(default_factory=Least)
    stills: list[Still] = field(default_factory=list)


class Reviewing:
    """An :class:`~incamera.redaction.review.editing.Editing` that changes nothing and looks on."""

    digest = None  # every frame must be seen, also those of files an earlier run finished

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of findings: pictures are done side by side
        self._files: dict[str, File] = {}
        self._wanted: dict[str, frozenset[int]] = {}
        self._width = _WIDTHS[0][1]
        self._findings: Findings | None = None

    def begin(self, files: Sequence[File], settings: Digest) -> None:
        """Choose which whole frames to show."""
        self._findings = Findings(settings)
        self._files = {file.relative: file for file in files}
        self._wanted = _spread(files)
        count = sum(map(len, self._wanted.values()))
        self._width = next((width for most, width in _WIDTHS if count <= most), _WIDTHS[-1][1])

    @contextlib.contextmanager
    def file(self, relative: str) -> Iterator[Edit]:
        """Watch one file. If it turns out faulty, nothing of it is shown: it has no output."""
        eye = _Eye(relative, self._wanted[relative], self._width)
        yield eye
        eye.end()
        eye.film.digest = file_digest(self._files[relative].path)
        with self._lock:
            found = self._found()
            found.films[relative] = eye.film
            found.stills += eye.stills
            found.questions.merge(eye.questions)

    def findings(self) -> Findings:
        """Everything that was gathered, in order: to be called once, after the run."""
        found = self._found()
        found.questions.settle()
        found.stills.sort(key=lambda still: (still.source, still.frame))
        return found

    def _found(self) -> Findings:
        assert self._findings is not None, "begin comes first"
        return self._findings


def _spread(files: Sequence[File]) -> dict[str, frozenset[int]]:
    """Frames of each file to show whole: evenly spaced, and every picture, as far as room is."""
    counts = [
        1 if file.frames <= 1 else max(_FEWEST, min(_PLENTY, round(file.frames / _EVERY)))
        for file in files
    ]
    share = min(1.0, _ALL / max(1, sum(counts)))
    wanted: dict[str, frozenset[int]] = {}
    due = 0.0
    for file, count in zip(files, counts, strict=True):
        due += count * share
        now = min(int(due + 1e-6), count, file.frames)
        due -= now
        step = file.frames / max(1, now)
        wanted[file.relative] = frozenset(int((i + 0.5) * step) for i in range(now))
    return wanted


class _Eye:
    """The edit of one file."""

    def __init__(self, relative: str, wanted: frozenset[int], width: int) -> None:
        self._watch = Watch(relative)
        self.film = Film(Digest(""), 0)
        self.stills: list[Still] = []
        self.questions = Least()
        self._relative = relative
        self._wanted = wanted
        self._width = width

    def __call__(
        self, frame: Frame, covers: Sequence[Cover], doubts: Sequence[Cover]
    ) -> Sequence[Cover]:
        film = self.film
        film.frames = frame.index + 1
        film.width, film.height = frame.picture.width, frame.picture.height
        film.times = (film.times[0] if frame.index else frame.time, frame.time)
        for question in self._watch.see(frame, covers, doubts):
            self.questions.add(question)
        if frame.index in self._wanted:
            image, turns = whole(frame, covers, self._width)
            self.stills.append(Still(self._relative, frame.index, encode(image), turns))
        return covers

    def end(self) -> None:
        for question in self._watch.end():
            self.questions.add(question)
