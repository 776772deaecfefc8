# SPDX-License-Identifier: Apache-2.0
"""Every error incamera raises on purpose, grouped by who must act.

::

    Error
     +-- InputError        3  you: mend what you handed in
     +-- IntegrityError    4  everybody: something was altered, or a proof does not hold
     +-- PolicyError       5  nobody here: the rules forbid it
     +-- UnavailableError  6  the operator: try again later, or make room

The number is the command line's exit code (2 is kept for wrong usage). A message says what is
wrong and where; the hint says what to do next. Each code has a page in ``docs/errors/``.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

__all__ = [
    "Error",
    "InputError",
    "IntegrityError",
    "PolicyError",
    "UnavailableError",
    "without_frames",
]


E = TypeVar("E", bound=BaseException)

_LONGEST = 1_000


def _line(text: str) -> str:
    """``text`` as one line that every terminal can show: it may quote what a stranger sent."""
    if len(text) <= _LONGEST and text.isprintable():
        return text
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return "".join(each if each.isprintable() else "?" for each in cut)


def _again(kind: type[Error], args: tuple[object, ...], facts: dict[str, object]) -> Error:
    error = kind.__new__(kind)
    error.args = args
    for name, value in facts.items():
        setattr(error, name, value)
    return error


class Error(Exception):
    """A failure that a person can act on: one clear sentence, and a hint."""

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """``message`` says what and where, in one sentence; ``hint`` what to do next."""
        self.message = _line(message)
        super().__init__(self.message)
        self.hint = None if hint is None else _line(hint)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled as it is, whatever its constructor takes: between processes of ours."""
        # What an OSError keeps does not stand in __dict__.
        more = {"errno": self.errno} if isinstance(self, OSError) else {}
        return _again, (type(self), self.args, {**self.__dict__, **more})


class InputError(Error):
    """What was handed in cannot be used: unreadable, malformed, unknown or incomplete."""

    exit_code = 3
    kind = "input"


class IntegrityError(Error):
    """A digest, signature, proof or consistency check failed: do not trust the object."""

    exit_code = 4
    kind = "integrity"


class PolicyError(Error):
    """A rule forbids the act. Asking again changes nothing."""

    exit_code = 5
    kind = "policy"


class UnavailableError(Error):
    """A party, the disk or a lock is not available now. Nothing was lost; try again."""

    exit_code = 6
    kind = "unavailable"


def without_frames(error: E) -> E:
    """``error``, letting go of all that its way up had in hand; for errors that are kept.

    An error that is an answer would hold the frames it came through, and these the answers: a
    ring that only the garbage collector finds, with a whole batch of bodies in it.
    """
    found: BaseException | None = error
    while found is not None and found.__traceback__ is not None:
        found.__traceback__ = None
        found = found.__cause__ or found.__context__
    return error
