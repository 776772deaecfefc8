# SPDX-License-Identifier: Apache-2.0
"""Where a reader gets things: its own reading of the log, ciphertext, and a way to the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from incamera.clock import Clock
from incamera.ids import Digest
from incamera.ledger.state import State
from incamera.sealing.capsule import Capsule
from incamera.tlog.fetch import Fetch

__all__ = ["Fetched", "Source", "ahead"]

_T = TypeVar("_T")


def _nothing() -> None:
    """What is to be done with a file that is not ours."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A capsule that is here as a file, checked but for its ciphertext."""

    capsule: Capsule
    #: To be called when the file is not needed any more.
    done: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Source:
    """What a release is made from. Nothing that it brings is believed unchecked."""

    state: State
    #: Those capsules, in any order and in groups, each group fetched when it is asked for.
    capsules: Callable[[Sequence[Digest]], Iterator[list[Fetched]]]
    submit: Callable[[bytes], int]
    clock: Clock
    fetch: Fetch  # public files; what is fetched is checked


def ahead(items: Iterator[_T]) -> Iterator[_T]:
    """``items``, the next one being made in another thread while one is worked on."""
    end = object()
    with ThreadPoolExecutor(1, "ahead") as pool:
        ready = pool.submit(next, items, end)
        while (item := ready.result()) is not end:
            ready = pool.submit(next, items, end)
            yield item  # type: ignore[misc]  # only `end` is no item
