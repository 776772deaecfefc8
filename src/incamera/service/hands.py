# SPDX-License-Identifier: Apache-2.0
"""A process that admits, beside the one that listens.

One interpreter runs one thread at a time. A vault that receives hundreds of bodies a second and
waits for disk, database and log in between spends most of its waiting on itself. So the process
that listens looks at headers and holds bodies, and hands whole batches to another, which has the
same vault open. Between them: a socket for each batch under way, and nothing that a crash could
lose, since nobody is answered before the other has answered.

==============================  ================================================================
dies                            what happens next
==============================  ================================================================
the process that admits, idle   the next batch starts another and is admitted
the same, with batches in hand  their cars are told 503 and ask again; the next batch starts
                                another, which finishes what the log has (``vault.admit``)
the process that listens        the sockets end, and so does the other when its batches are done
both                            what was begun is found by whoever opens the vault next
==============================  ================================================================
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

from incamera.clock import SystemClock, monotonic
from incamera.errors import Error, UnavailableError
from incamera.service.journal import Journal
from incamera.service.opening import log_of, one_heap, settle_in, vault_of
from incamera.service.residency import hold_to_region
from incamera.service.settings import VaultSettings
from incamera.service.vaults import Vaults
from incamera.vault import Source

__all__ = ["Hands"]

_MAIN = "import sys; from incamera.service.hands import main; main(sys.argv[1:])"
_PAUSE = 1.0
_STOP_SECONDS = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Of a terminal, or of a supervisor, to the whole group: it ends with who started it, not before.
"""

Outcomes = list[bytes | Error]


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """What is started meanwhile is not ended by :data:`_SIGNALS` before it can ignore them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _started(count: int) -> tuple[subprocess.Popen[bytes], list[Connection]]:
    """The process, and our end of each of ``count`` sockets."""
    with contextlib.ExitStack() as mine, contextlib.ExitStack() as theirs:
        pairs = []
        for _ in range(count):
            one, other = socket.socketpair()
            pairs.append((mine.enter_context(one), theirs.enter_context(other)))
        numbers = [other.fileno() for _, other in pairs]
        # -P: no folder that it happens to be started in is searched for modules.
        words = [sys.executable, "-P", "-c", _MAIN, *map(str, numbers)]
        with _unheard():
            process = subprocess.Popen(  # noqa: S603 - this interpreter, and numbers
                words, pass_fds=numbers, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        return process, [Connection(one.detach()) for one, _ in pairs]


class _Process:
    """The other process, and our ends of the sockets."""

    def __init__(self, settings: VaultSettings, count: int) -> None:
        told = pickle.dumps(settings)
        try:
            self._process, links = _started(count)
        except OSError as error:
            raise UnavailableError(f"cannot start a process: {error.strerror}") from error
        #: Whoever takes one puts it back.
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._count = count
        for each in links:
            self._free.put(each)
        with contextlib.suppress(OSError):  # it has ended already: the first batch is told so
            links[0].send_bytes(told)

    @property
    def ended(self) -> bool:
        """True once it is gone."""
        return self._process.poll() is not None

    def admit_all(self, sources: Sequence[Source]) -> Outcomes | Error:
        """One batch; :class:`EOFError` or :class:`OSError` if the process is gone."""
        link = self._free.get()
        try:
            _hand_over(link, sources)
            found: Outcomes | Error = link.recv()
            return found
        finally:
            self._free.put(link)

    def end(self, seconds: float) -> None:
        """It finishes what it has in hand, is given so long to end, and ends."""
        self._let_go()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> int:
        """It ends at once; who waits for it is told so. Its exit code, or signal."""
        self._process.kill()
        code = self._process.wait()
        self._let_go()
        return code

    def _let_go(self) -> None:
        """Close each link when nobody uses it: its number will be somebody else's."""
        links = [self._free.get() for _ in range(self._count)]
        for each in links:
            each.close()
            self._free.put(each)  # who comes too late finds it closed


class Hands:
    """Admits in a process of its own; ``count`` batches at a time. For any number of threads."""

    def __init__(self, settings: VaultSettings, count: int) -> None:
        self._settings = settings
        self._count = count
        self._journal = Journal("vault", SystemClock())
        self._turn = threading.Lock()
        #: Guarded by ``_turn``, as are when it was started last, and whether it is over.
        self._process: _Process | None = None
        self._started = -_PAUSE
        self._stopping = False

    def start(self) -> None:
        """Begin, so that the first batch need not wait for it."""
        try:
            self._running()
        except Error as error:  # the first batch tries again, and is told
            self._journal.say("admitting", kind=error.kind, said=error.message[:300])

    def stop(self) -> None:
        """End, when nothing is under way."""
        with self._turn:
            self._stopping = True
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
        if isinstance(outcomes, Error):
            raise outcomes
        return outcomes

    def _running(self) -> _Process:
        with self._turn:
            if self._stopping:
                raise UnavailableError("this server is stopping", hint="deliver it again")
            if self._process is not None and self._process.ended:
                self._bury(self._process)
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
                self._bury(process)

    def _bury(self, process: _Process) -> None:
        self._process = None
        self._journal.say("admitting ended", code=process.kill())


def _hand_over(link: Connection, sources: Sequence[Source]) -> None:
    """What is said of each, then what is held of each, one by one.

    As one message a batch would be held three times, in blocks that the allocator keeps.
    """
    link.send([(each.path, each.header, each.data is not None) for each in sources])
    for each in sources:
        if each.data is not None:
            link.send_bytes(each.data)


def _received(link: Connection) -> list[Source]:
    said = link.recv()
    return [
        Source(path, link.recv_bytes() if held else None, header) for path, header, held in said
    ]


def _serve(link: Connection, vaults: Vaults, journal: Journal) -> None:
    """Until the other side is gone. However this ends, the other side sees that it did."""
    try:
        while True:
            # No name for the sources: they would stay until the next batch is there.
            link.send_bytes(_admitted(_received(link), vaults, journal))
    except (EOFError, OSError):
        pass
    except Exception as error:  # noqa: BLE001 - told here, and by the end of the link
        journal.fault(error)
    finally:
        link.close()


def _admitted(sources: list[Source], vaults: Vaults, journal: Journal) -> bytes:
    """The :data:`Outcomes`, or the error that is the answer of all; to be sent."""
    try:
        return pickle.dumps(vaults.admit_all(sources))
    except Error as error:
        return pickle.dumps(error)
    except Exception as error:  # noqa: BLE001 - the callers must not wait for ever
        journal.fault(error)
        return pickle.dumps(UnavailableError("a fault of this server"))


def _work(links: Sequence[Connection], journal: Journal) -> None:
    try:
        settings: VaultSettings = links[0].recv()
    except (EOFError, OSError):
        return
    one_heap()
    hold_to_region(settings)
    log, clock = log_of(settings), SystemClock()
    vaults = Vaults(lambda: vault_of(settings, log, clock))
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


def main(descriptors: Sequence[str]) -> None:
    """Admit what comes, until whoever started this is gone."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    journal = Journal("vault", SystemClock())
    journal.adopt("")  # whatever library warns: asyncio, the database's, the queue's
    try:
        _work([Connection(int(each)) for each in descriptors], journal)
    except Error as error:
        journal.say("admitting", kind=error.kind, said=error.message[:300])
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - a line of ours, not a traceback that quotes
        journal.fault(error)
        sys.exit(1)
