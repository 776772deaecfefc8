# SPDX-License-Identifier: Apache-2.0
"""Children that are killed (SIGKILL) at a chosen one of their own system calls.

A child is a fork of this process and talks to it over pipes: it is one party, and its parent is
all the others. ``killer.c``, preloaded, counts its calls: ``SYNC`` (fsync, fdatasync), ``NAME``
(rename, unlink, mkdir, rmdir), ``DATA`` (write, pwrite, ftruncate of files) and ``SAY`` (a message
to another party). Without a compiler the same is done from Python at what Python can see: fsync,
rename and the commits of SQLite.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import functools
import os
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, NoReturn

from incamera.tlog import cosigners

__all__ = ["DATA", "NAME", "SAY", "SYNC", "Child", "Fate", "preloaded"]

SYNC, NAME, DATA, SAY = 1, 2, 4, 8
_PATIENCE = 30  # seconds for one life
Lines = Mapping[str, Connection]


class Inline(Executor):
    """Does at once what a pool would do in a thread.

    This process must have no thread when it forks: what a thread holds at that moment (the lock
    of a witness, say) the child would hold for as long as it lives.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        """Call ``fn`` now."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **more))
        except Exception as error:  # noqa: BLE001 # as a pool does
            done.set_exception(error)
        return done


_COSIGNERS = vars(cosigners)
_POOL = _COSIGNERS["ThreadPoolExecutor"]
_COSIGNERS["ThreadPoolExecutor"] = lambda *_: Inline()


class Fate:
    """When a child is killed: before call number ``at`` (0: never) of the ``kinds``.

    ``half``: where that call is a write, after half of it was written.
    """

    def __init__(self, at: int, kinds: int = SYNC | NAME, *, half: bool = False) -> None:
        self.at, self.kinds, self.half = at, kinds, half


def preloaded(folder: Path) -> int | None:
    """Run this script again with the counter in it, built in ``folder``; its exit code.

    None: it is in already, or there is no compiler.
    """
    if "killer.so" in os.environ.get("LD_PRELOAD", ""):
        return None
    library, source = folder / "killer.so", Path(__file__).with_name("killer.c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    with contextlib.suppress(OSError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            environment = os.environ | {"LD_PRELOAD": str(library)}
            again = [sys.executable, *sys.argv]
            return subprocess.run(again, env=environment, check=False).returncode
    return None


@functools.cache
def _library() -> ctypes.CDLL | None:
    path = os.environ.get("LD_PRELOAD", "")
    return ctypes.CDLL(path) if "killer.so" in path else None


def _arm(fate: Fate) -> None:
    if library := _library():
        library.killer_arm(ctypes.c_long(fate.at), fate.kinds, int(fate.half))
    else:
        _Hooks(fate).install()


def _counts() -> list[int]:
    library = _library()
    return [library.killer_count(kind) if library else 0 for kind in (SYNC, NAME, DATA, SAY)]


class _Hooks:
    """The counter in Python, for machines without a compiler."""

    def __init__(self, fate: Fate) -> None:
        self._fate, self._count = fate, 0

    def step(self, kind: int) -> None:
        if self._fate.kinds & kind:
            self._count += 1
            if self._count == self._fate.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def _before(self, owner: Any, name: str, kind: int) -> None:
        real = getattr(owner, name)

        def hooked(*args: Any, **more: Any) -> Any:
            self.step(kind)
            return real(*args, **more)

        setattr(owner, name, hooked)

    def install(self) -> None:
        self._before(os, "fsync", SYNC)
        for name in ("replace", "rename", "unlink", "mkdir"):
            self._before(Path, name, NAME)
        hooks, changes = self, ("COMMIT", "INSERT", "UPDATE", "DELETE")

        class Dying(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                inner = self.in_transaction and not sql.startswith("COMMIT")
                if inner or not sql.startswith(changes):
                    return super().execute(sql, *values)
                hooks.step(SYNC)
                done = super().execute(sql, *values)
                hooks.step(SYNC)
                return done

        sqlite3.connect = functools.partial(sqlite3.connect, factory=Dying)  # type: ignore[assignment]


class Child:
    """A party in a process of its own: ``act`` with the child's ends of the named ``lines``."""

    def __init__(self, names: Sequence[str], act: Callable[[Lines], None], fate: Fate) -> None:
        pipes = {name: Pipe() for name in [*names, "counts"]}
        self.lines = {name: ours for name, (ours, _) in pipes.items()}
        self._pid = os.fork()
        if self._pid == 0:
            for ours in self.lines.values():
                ours.close()
            self._live({name: theirs for name, (_, theirs) in pipes.items()}, act, fate)
        for _, theirs in pipes.values():
            theirs.close()

    def _live(self, lines: Lines, act: Callable[[Lines], None], fate: Fate) -> NoReturn:
        code = 1
        faulthandler.enable()
        signal.signal(signal.SIGALRM, lambda *_: os.abort())
        signal.alarm(_PATIENCE)  # a child that hangs is a failure that says where
        _COSIGNERS["ThreadPoolExecutor"] = _POOL
        try:
            _arm(fate)
            act(lines)
            found = _counts()
            lines["counts"].send(found)
            code = 0
        except EOFError:
            code = 0  # the parent has no more to ask
        except BaseException:  # noqa: BLE001 # said, and told by the exit code
            traceback.print_exc()
        finally:
            os._exit(code)

    def serve(self, answer: Mapping[str, Callable[[bytes], bytes | None]]) -> None:
        """Answer what the child says until it ends; None: no answer is expected."""
        names = {self.lines[name]: name for name in answer}
        while names:
            found = wait(list(names), timeout=2 * _PATIENCE)
            assert found, f"nothing heard of {sorted(names.values())}"
            for ready in found:
                assert isinstance(ready, Connection)
                try:
                    said = answer[names[ready]](ready.recv_bytes())
                    if said is not None:
                        ready.send_bytes(said)
                except (EOFError, OSError):
                    del names[ready]

    def end(self) -> list[int] | None:
        """Wait for it: None if it was killed, else its calls by kind."""
        for name, line in self.lines.items():
            if name != "counts":
                line.close()
        counts: list[int] | None = None
        with contextlib.suppress(EOFError, OSError):
            counts = self.lines["counts"].recv()
        self.lines["counts"].close()
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if code == -signal.SIGKILL:
            return None
        assert code == 0, f"the child failed by itself: {code}"
        return counts or [0, 0, 0, 0]
