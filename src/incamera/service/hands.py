# SPDX-License-Identifier: Apache-2.0
"""A process that admits, beside the one that listens.

One interpreter runs one thread at a time. A vault that receives hundreds of bodies a second and
waits for disk, database and log in between spends most of its waiting on itself. So the process
that listens looks at headers and holds bodies, and hands whole batches to another, which has the
same vault open. Between them: a socket for each batch under way, and nothing that a crash could
lose, since nobody is answered before the other has answered. If either dies, so does the batch:
its cars ask again; a new process is started with the next one.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection

from incamera.clock import SystemClock, monotonic
from incamera.errors import Error, UnavailableError
from incamera.service.journal import Journal
from incamera.service.opening import log_of, settle_in, vault_of
from incamera.service.residency import hold_to_region
from incamera.service.settings import VaultSettings
from incamera.service.vaults import Vaults
from incamera.vault import Source

__all__ = ["Hands"]

_MAIN = "import sys; from incamera.service.hands import main; main(sys.argv[1:])"
_PAUSE = 1.0
_STOP_SECONDS = 10.0

Outcomes = list[bytes | Error]


class _Process:
    """The other process, and our ends of the sockets."""

    def __init__(self, settings: VaultSettings, count: int) -> None:
        pairs = [socket.socketpair() for _ in range(count)]
        theirs = [str(other.fileno()) for _, other in pairs]
        words = [sys.executable, "-c", _MAIN, *theirs]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and numbers
                words, pass_fds=[*map(int, theirs)], stdin=subprocess.DEVNULL
            )
        except OSError as error:
            raise UnavailableError(f"cannot start a process: {error.strerror}") from error
        finally:
            for _, other in pairs:
                other.close()
        self._links = [Connection(mine.detach()) for mine, _ in pairs]
        self.free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._links[0].send(settings)
        for each in self._links:
            self.free.put(each)

    def admit_all(self, sources: Sequence[Source]) -> Outcomes:
        """One batch; :class:`EOFError` or :class:`OSError` if the process is gone."""
        link = self.free.get()
        try:
            link.send(list(sources))
            found: Outcomes = link.recv()
            return found
        finally:
            self.free.put(link)

    def end(self, seconds: float) -> None:
        """It finishes what it has in hand, for so long, and ends."""
        for each in self._links:
            each.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Hands:
    """Admits in a process of its own; ``count`` batches at a time. For any number of threads."""

    def __init__(self, settings: VaultSettings, count: int) -> None:
        self._settings = settings
        self._count = count
        self._turn = threading.Lock()
        #: Guarded by ``_turn``, as is when it was started last.
        self._process: _Process | None = None
        self._started = -_PAUSE

    def start(self) -> None:
        """Begin, so that the first batch need not wait for it."""
        self._running()

    def stop(self) -> None:
        """End, when nothing is under way."""
        with self._turn:
            if self._process is not None:
                self._process.end(_STOP_SECONDS)
                self._process = None

    def admit_all(self, sources: Sequence[Source]) -> Outcomes:
        """As :meth:`incamera.vault.Vault.admit_sources`."""
        process = self._running()
        try:
            outcomes = process.admit_all(sources)
        except (EOFError, OSError) as error:
            self._gone(process)
            raise UnavailableError(
                "the process that admits has ended", hint="deliver it again"
            ) from error
        return outcomes

    def _running(self) -> _Process:
        with self._turn:
            if self._process is None:
                if monotonic() - self._started < _PAUSE:
                    raise UnavailableError(
                        "the process that admits is being started", hint="deliver it again"
                    )
                self._started = monotonic()
                self._process = _Process(self._settings, self._count)
            return self._process

    def _gone(self, process: _Process) -> None:
        with self._turn:
            if self._process is process:
                self._process = None
                process.end(0.0)


def _serve(link: Connection, vaults: Vaults, journal: Journal) -> None:
    """Until the other side is gone."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            sources: list[Source] = link.recv()
            link.send(_admitted(sources, vaults, journal))


def _admitted(sources: list[Source], vaults: Vaults, journal: Journal) -> Outcomes:
    try:
        return vaults.admit_all(sources)
    except Error as error:
        return [error] * len(sources)
    except Exception as error:  # noqa: BLE001 - the callers must not wait for ever
        journal.fault(error)
        return [UnavailableError("a fault of this server")] * len(sources)


def main(descriptors: Sequence[str]) -> None:
    """Admit what comes, until whoever started this is gone: no signal of a terminal ends it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    links = [Connection(int(each)) for each in descriptors]
    clock = SystemClock()
    journal = Journal("vault", clock)
    try:
        settings: VaultSettings = links[0].recv()
    except EOFError:
        return
    hold_to_region(settings)
    vaults = Vaults(lambda: vault_of(settings, log_of(settings), clock))
    with contextlib.suppress(Error):  # the first batch tries again, and is told
        vaults.follow()
    settle_in()
    threads = [
        threading.Thread(target=_serve, args=(each, vaults, journal), name="admit")
        for each in links
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    vaults.close()
