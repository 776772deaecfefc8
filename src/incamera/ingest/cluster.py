# SPDX-License-Identifier: Apache-2.0
"""Workers over a Ray cluster, or over the cores of this machine.

Ray starts processes, hands them pieces and tells when one died; what is done about that is ours: a
piece whose worker died is given to another, three times at most. Through Ray go names, times,
digests and counts. Keys, recordings and clips do not: workers read and write those as files.

Ray is told to say nothing to anybody: no usage reports, no dashboard, nothing but loopback for a
cluster of our own, which only this process can use (a token that is made each time).
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from incamera import durable
from incamera.errors import Error, InputError, UnavailableError
from incamera.ingest.journal import ClipId
from incamera.ingest.worker import Made, Orders, Piece, Worker
from incamera.redaction import Redactor

__all__ = ["Cluster", "Crew", "check_head", "check_installed", "gathered", "joined"]

_ATTEMPTS = 3  # at one piece, before its recording is blamed
_QUEUED = 2  # pieces a worker has: one to do, one to go on with
_BEGIN_SECONDS = 60.0
_HEAD_SECONDS = 5.0
_STORE = 80 << 20  # bytes; Ray's least. Nothing large is put there
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A cluster tells of itself, once, even where it is told to tell nothing: to nobody, then.
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",
    "RAY_LOG_TO_DRIVER": "0",
    "RAY_TQDM": "0",
}
_ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # which makes it listen on loopback only
    "RAY_AUTH_MODE": "token",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the workers are."""

    address: str | None = None
    """``host:port`` of a Ray cluster; None: this machine."""
    workers: int | None = None
    """How many; None: one for each core that the cluster has."""


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@functools.cache
def _token() -> str:
    """Of our clusters. Ray remembers the first that a process had."""
    return secrets.token_hex(32)


def check_installed() -> None:
    """:class:`InputError` if Ray is not."""
    if importlib.util.find_spec("ray") is None:
        raise InputError("Ray is not installed", hint="pip install 'incamera[ray]'")


@contextlib.contextmanager
def joined(cluster: Cluster) -> Iterator[Any]:
    """Ray, connected to the cluster; one of our own is gone afterwards.

    Within such a block, another one uses the same.
    """
    check_installed()
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        yield sys.modules["ray"]
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(_environment(_QUIET))
        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if cluster.address is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="incamera-ray-")))
            # Ray's head asks the cloud's metadata address who it is, unless it finds this file.
            (home / "ray_bootstrap_config.yaml").write_text("{}\n")
            token = {"RAY_AUTH_TOKEN": _token(), "HOME": str(home)}
            stack.enter_context(_environment(_ALONE | token))
            options |= {
                "num_cpus": cluster.workers or os.cpu_count() or 1,
                "include_dashboard": False,
                "object_store_memory": _STORE,
                "_temp_dir": str(home),
            }
        else:
            check_head(cluster.address)
        import ray  # not earlier: it looks at the environment as it is loaded

        try:
            ray.init(address=cluster.address or "local", **options)
        except (OSError, RuntimeError, ValueError) as error:
            line = str(error).strip().split("\n", 1)[0]
            raise UnavailableError(
                f"no Ray cluster at {cluster.address or 'this machine'}: {line:.200}",
                hint="ray status shows whether it runs; --ray-address is host:port of its head",
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def check_head(address: str) -> None:
    """:class:`UnavailableError` at once if nobody listens there: Ray would try for minutes.

    :class:`PolicyError` if the region declares addresses, and this is none of them
    (:mod:`incamera.wire.egress`: it hears of this connection, but not of Ray's).
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise InputError(
            f"not the address of a Ray cluster: {address!r:.80}", hint="for example 192.0.2.7:6379"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _HEAD_SECONDS).close()
    except Error:
        raise
    except OSError as error:
        raise UnavailableError(
            f"no Ray cluster at {address}: {error.strerror or error}",
            hint="ray status shows whether it runs; --ray-address is host:port of its head",
        ) from error


@contextlib.contextmanager
def gathered(
    cluster: Cluster, orders: Orders, redactor: Callable[[], Redactor] | None = None
) -> Iterator[Crew]:
    """Workers under these orders; none of them runs any more after the block.

    :class:`InputError` if Ray is not installed, :class:`UnavailableError` if there is no cluster.
    """
    # Ray prints that a worker died, where the result of a command is to stand alone.
    with joined(cluster) as ray, contextlib.redirect_stdout(sys.stderr):
        crew = Crew(ray, cluster, orders, redactor)
        try:
            yield crew
        finally:
            crew.dismiss()


class Crew:
    """Workers, and the pieces that they have. For one thread."""

    def __init__(
        self,
        ray: Any,
        cluster: Cluster,
        orders: Orders,
        redactor: Callable[[], Redactor] | None,
    ) -> None:
        self._ray, self._orders = ray, orders
        remote = ray.remote(num_cpus=1, max_restarts=0, concurrency_groups={"look": 1})(Worker)
        self._hire: Callable[[], Any] = lambda: remote.remote(orders, redactor)
        count = cluster.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._workers: list[Any] = [self._hire() for _ in range(count)]
        self._begin()
        #: What each has, in the order it was given.
        self._given: dict[Any, tuple[Any, Piece]] = {}
        #: Pieces whose worker died, and how often.
        self._again: list[Piece] = []
        self._deaths: dict[str, int] = {}

    def _begin(self) -> None:
        """Wait until all are there; :class:`UnavailableError` if they do not come."""
        asked = [each.process.remote() for each in self._workers]
        raised, hint = self._ray.exceptions, "each machine needs incamera, of the same version"
        try:
            self._ray.get(asked, timeout=_BEGIN_SECONDS)
        except raised.GetTimeoutError as error:
            raise UnavailableError(
                f"the cluster has no room for {len(asked)} workers of one core each",
                hint="ask for fewer with --workers, or wait until it is idle",
            ) from error
        except raised.RayError as error:
            line = str(error).strip().rsplit("\n", 1)[-1]
            raise UnavailableError(f"a worker does not start: {line:.200}", hint=hint) from error

    @property
    def has_room(self) -> bool:
        """True if a worker has nothing to go on with."""
        return len(self._given) + len(self._again) < _QUEUED * len(self._workers)

    def give(self, piece: Piece) -> None:
        """Hand ``piece`` to whoever has least to do."""
        loads = [(self._load_of(each), at) for at, each in enumerate(self._workers)]
        worker = self._workers[min(loads)[1]]
        self._given[worker.cut.remote(piece)] = (worker, piece)

    def _load_of(self, worker: Any) -> int:
        return sum(each is worker for each, _ in self._given.values())

    def shares(self) -> dict[ClipId, float]:
        """How much is done of the pieces that are being made, by clip."""
        first: dict[int, tuple[Any, Piece]] = {}
        for worker, piece in self._given.values():
            first.setdefault(id(worker), (worker, piece))
        asked = {
            worker.share.options(concurrency_group="look").remote(): piece.clip
            for worker, piece in first.values()
        }
        ready, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=0.5)
        found = {}
        for each in ready:
            with contextlib.suppress(self._ray.exceptions.RayError):
                found[asked[each]] = float(self._ray.get(each))
        return found

    def made(self, seconds: float) -> list[Made]:
        """What was finished within ``seconds``; what a worker died of is begun again."""
        while self._again:
            self.give(self._again.pop(0))
        if not self._given:
            return []
        ready, _ = self._ray.wait(list(self._given), num_returns=1, timeout=seconds)
        if ready:  # and whatever else is
            ready, _ = self._ray.wait(list(self._given), num_returns=len(self._given), timeout=0)
        found: list[Made] = []
        for each in [each for each in list(self._given) if each in ready]:  # as they were given
            if each not in self._given:  # went with its worker
                continue
            try:
                found.append(self._ray.get(each))
                del self._given[each]
            except self._ray.exceptions.RayActorError:
                found += self._died(self._given[each][0])
        return found

    def _died(self, worker: Any) -> list[Made]:
        """Another one takes its place, and what it had is begun again.

        It died of the piece that it had first; after three deaths that is given up, as a fault.
        """
        if worker in self._workers:
            self._workers[self._workers.index(worker)] = self._hire()
        had = [(ref, piece) for ref, (whose, piece) in self._given.items() if whose is worker]
        for ref, piece in had:
            del self._given[ref]
            clear(self._orders.spool, piece)
        first, *others = (piece for _, piece in had)
        self._deaths[first.clip] = self._deaths.get(first.clip, 0) + 1
        given_up = self._deaths[first.clip] == _ATTEMPTS
        again = others if given_up else [first, *others]
        self._again += [replace(piece, nonce=secrets.token_hex(8)) for piece in again]
        if not given_up:
            return []
        fault = (
            "input",
            f"{first.recording}: {_ATTEMPTS} workers died at one of its clips",
            "see that they have memory enough; the other clips are done",
        )
        return [Made(first.clip, first.nonce, fault=fault)]

    def dismiss(self) -> None:
        """End all workers, whatever they do; what they left is removed."""
        for worker in self._workers:
            self._ray.kill(worker, no_restart=True)
        for _, piece in self._given.values():
            clear(self._orders.spool, piece)
        self._given.clear()


def clear(spool: Path, piece: Piece) -> None:
    """Remove what an attempt left in ``spool``."""
    shutil.rmtree(piece.folder(spool), ignore_errors=True)
    durable.sweep(piece.sealed(spool))
    piece.sealed(spool).unlink(missing_ok=True)
