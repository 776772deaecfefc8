# SPDX-License-Identifier: Apache-2.0
"""Who decides which tree comes next: one process by its files, or one of several by a database.

A tree is decided once, before it may be signed, and no other tree of its size ever is. A process
that works alone (:class:`Alone`) decides by its own files, under a lock of the kernel; the order
stands in :mod:`incamera.tlog.log`. Where several stand ready over one folder (:class:`Led`), the
one that leads may be stopped at any instruction, be overtaken, and go on an hour later; no lock of
a file system can be taken from it. So each tree is decided outside, by a compare-and-swap that an
overtaken leader loses, and what it may still do to the files late is harmless. The order:

1. ``state/batch-<fence>-<size>-<root>``: the entries, under the name of the tree that they make;
2. the compare-and-swap: this tree follows that one, under this lead's fence;
3. ``public/tile/...``: a path's bytes follow from the decided tree, so who writes late writes the
   same; what of the older tiles is not needed any more is removed;
4. ``state/tree``, for a start without the database: a leader never reads it;
5. the database is asked again whether we lead; the log signs, the witnesses cosign;
6. a look at when the database said so last; ``public/checkpoint``. Only now is the append answered.

What the next leader finds, if this one dies, or stops for longer than its lead, after

======  ===========================================================================================
step    then
======  ===========================================================================================
0, 1    nothing was decided: the file of the batch is removed, its caller asks again. The stopped
        one, going on, loses the compare-and-swap: nothing of it was or can be signed
2, 3    the decided tree, and the batch by its name: steps 3 to 6 are done again. The stopped one
        writes the same tiles, and signs nothing
4       the same; the stopped one may put an older ``state/tree`` back, which nobody reads
5       the same tree is signed and cosigned again
6       nothing to do. A leader stopped between looking and renaming puts an older checkpoint of
        the same history back: the leader sees that within a second and publishes its own again
======  ===========================================================================================

A folder that is not the one that was decided on (a stale copy, a backup) has neither the tiles nor
the batch of the decided tree, and cannot lead.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from incamera import durable
from incamera.errors import InputError, IntegrityError
from incamera.tlog.storage import Batch, Tree

__all__ = ["Alone", "Deciding", "Lead", "Led", "adopt", "is_led", "mark"]

_LED = "led"
"""File in the state folder of a log that a database decides: alone, nobody may go on with it."""


class Lead(Protocol):
    """The right to decide, for as long as nobody else has it."""

    @property
    def fence(self) -> int:
        """Larger than that of any lead before."""
        ...

    @property
    def tree(self) -> Tree:
        """What was decided last."""
        ...

    def decide(self, old: Tree, new: Tree) -> None:
        """From ``old`` to ``new``, if ``old`` is the last and this is the lead still.

        :class:`UnavailableError` otherwise, and where it is not known whether it was decided.
        """
        ...

    def check(self, tree: Tree) -> None:
        """:class:`UnavailableError` unless this is the lead still and ``tree`` the last."""
        ...

    def look(self, tree: Tree) -> None:
        """As :meth:`check`; but what was heard in the last moments is believed."""
        ...


class Deciding(Protocol):
    """What a log decides by."""

    #: True if an overtaken leader may have written over what was published.
    shared: bool

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Keeps others from writing, as far as that can be."""
        ...

    def tree(self) -> Tree:
        """The tree that is decided; alone, the batch that was begun may follow it."""
        ...

    def begun(self, tree: Tree) -> tuple[int, Batch | None]:
        """The size up to which tiles are there, and the last batch: it goes there or ends there."""
        ...

    def decide(self, old: Tree, batch: Batch, new: Tree) -> None:
        """From here on ``batch`` follows ``old``, and no other."""
        ...

    def integrated(self, tree: Tree) -> None:
        """The tiles of ``tree`` are on disk."""
        ...

    def may_sign(self, tree: Tree) -> None:
        """Asked before ``tree`` is signed: :class:`UnavailableError` if it may not be."""
        ...

    def may_publish(self, tree: Tree) -> None:
        """Asked before ``tree``, which a quorum has cosigned, is published."""
        ...


class Alone:
    """One process at a time, by the files and the lock of its state folder."""

    shared = False

    def __init__(self, state: Path) -> None:
        if is_led(state):
            raise InputError(
                f"{state}: a database decides for this log, and here is none",
                hint="serve it with [leader] in its configuration",
            )
        self._state = state

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """``state/lock``."""
        with durable.lock(self._state / "lock", wait=True):
            yield

    def tree(self) -> Tree:
        """``state/tree``."""
        return Tree.read(self._state / "tree")

    def begun(self, tree: Tree) -> tuple[int, Batch | None]:
        """``state/batch``; also removes what a process that died was writing."""
        batch = Batch.read(self._state / "batch")
        for name in ("tree", "batch"):
            durable.sweep(self._state / name)
        if batch and tree.size not in (batch.first, batch.end):
            raise IntegrityError(f"{self._state}: tree and batch are not of one time")
        return tree.size, batch

    def decide(self, old: Tree, batch: Batch, new: Tree) -> None:
        """The batch decides: the tree follows from it."""
        del old, new
        batch.write(self._state / "batch")

    def integrated(self, tree: Tree) -> None:
        """Only now may the tree be signed."""
        tree.write(self._state / "tree")

    def may_sign(self, tree: Tree) -> None:
        """The lock says so."""

    def may_publish(self, tree: Tree) -> None:
        """The lock says so."""


class Led:
    """One of several processes, by the lead that it has."""

    shared = True

    def __init__(self, state: Path, lead: Lead) -> None:
        self._state = state
        self._lead = lead
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Against other threads; other processes are kept away by the lead."""
        with self._turn:
            yield

    def tree(self) -> Tree:
        """As the database has it."""
        return self._lead.tree

    def begun(self, tree: Tree) -> tuple[int, Batch | None]:
        """The batch that made ``tree``, whose tiles may or may not be there.

        Others of leads before this one were never decided, or are done with, and are removed; never
        those of a lead after it, should this one have been overtaken meanwhile.
        """
        kept = self._files(tree)
        for path in self._state.glob("batch-*"):
            fence = path.name.split("-")[1]
            if path not in kept and fence.isdigit() and int(fence) < self._lead.fence:
                path.unlink(missing_ok=True)
        self._lead.check(tree)
        batch = Batch.read(kept[0]) if kept else None
        if batch and batch.end != tree.size:
            raise IntegrityError(f"{kept[0]}: is not the batch of its name")
        return (batch.first if batch else tree.size), batch

    def decide(self, old: Tree, batch: Batch, new: Tree) -> None:
        """Steps 1 and 2."""
        name = f"batch-{self._lead.fence}-{new.size}-{new.root.hex()}"
        batch.write(self._state / name)
        self._lead.decide(old, new)
        for path in self._files(old):
            path.unlink(missing_ok=True)

    def integrated(self, tree: Tree) -> None:
        """Step 4."""
        tree.write(self._state / "tree")

    def may_sign(self, tree: Tree) -> None:
        """Step 5: the database is asked."""
        self._lead.check(tree)

    def may_publish(self, tree: Tree) -> None:
        """Step 6. It is of the one history, and what comes late is mended: a look will do."""
        self._lead.look(tree)

    def _files(self, tree: Tree) -> list[Path]:
        """Those that make ``tree``: of the same bytes, if there are several."""
        return sorted(self._state.glob(f"batch-*-{tree.size}-{tree.root.hex()}"))


@contextlib.contextmanager
def adopt(state: Path) -> Iterator[Tree]:
    """The tree that a log alone has decided, for a database that is to decide from here on.

    Within the block no process alone may write, and after it none ever: ``state/led`` says so.
    :class:`UnavailableError` while one is being served, or has not finished what it began.
    """
    with durable.lock(state / "serve.lock"), durable.lock(state / "lock", wait=True):
        alone = Alone(state)
        tree = alone.tree()
        start, batch = alone.begun(tree)
        if batch and batch.first == start:
            raise IntegrityError(
                f"{state}: a batch was begun and not finished",
                hint="serve the log once without [leader]: it finishes the batch",
            )
        yield tree
        mark(state)
        durable.remove(state / "batch")


def is_led(state: Path) -> bool:
    """True if a database decides for the log in this folder."""
    return (state / _LED).exists()


def mark(state: Path) -> None:
    """Say in the folder that a database decides."""
    if not is_led(state):
        durable.write(state / _LED, b"a database decides for this log\n", mode=0o600)
