# SPDX-License-Identifier: Apache-2.0
"""Real engines for tests and benches: PostgreSQL, nats-server, and S3 over HTTP, on loopback.

Each is a process with a folder of its own, which can be killed and started again. What is not
installed makes the test skip, and says so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from serving import free_ports

__all__ = ["Engine", "nats", "postgres", "s3"]

BUCKET = "capsules"


def _listens(port: int) -> bool:
    import socket

    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass
class Engine:
    """One server process; ``url`` is what a vault is told."""

    name: str
    url: str
    port: int
    command: Sequence[str]
    folder: Path
    user: str | None = None
    ready: Callable[[], bool] | None = None
    process: subprocess.Popen[bytes] | None = None
    said: Path = field(init=False)

    def __post_init__(self) -> None:
        self.said = self.folder.parent / f"{self.folder.name}.said"

    def start(self, seconds: float = 30.0) -> None:
        """Run it until it can be asked."""
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                list(self.command), stdout=said, stderr=said, start_new_session=True, user=self.user
            )
        end = time.monotonic() + seconds
        while not (self.ready() if self.ready else _listens(self.port)):
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{self.name}: {self.said.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; SIGKILL (the whole group) is a power cut of its machine."""
        if self.process is None:
            return
        if number == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.send_signal(number)
        self.process.wait(30)
        self.process = None

    def kill(self) -> None:
        """As a power cut."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Killed, and started again at once."""
        self.kill()
        self.start()


def _newest(pattern: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(pattern))
    return str(found[-1]) if found else shutil.which(Path(pattern).name)


@contextlib.contextmanager
def _running(engine: Engine) -> Iterator[Engine]:
    try:
        engine.start()
        yield engine
    finally:
        engine.kill()
        shutil.rmtree(engine.folder, ignore_errors=True)
        engine.said.unlink(missing_ok=True)


@contextlib.contextmanager
def postgres(*, port: int | None = None, options: Sequence[str] = ()) -> Iterator[Engine]:
    """An empty PostgreSQL, durable as it comes (fsync on). ``options``: ``-c`` settings."""
    initdb, server = _newest("*/bin/initdb"), _newest("*/bin/postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # It will not run as root, and must reach its folder.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="incamera-pg-", dir="/var/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    made = [initdb, "-D", str(folder / "data"), "-U", "incamera", "-A", "trust", "-E", "UTF8"]
    # Its own fsync of an empty cluster is nobody's promise.
    subprocess.run([*made, "-N"], check=True, stdout=subprocess.DEVNULL, user=user)
    port = port or free_ports(1)[0]
    command = [server, "-D", str(folder / "data"), "-p", str(port), "-k", str(folder)]
    command += ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
    for each in options:
        command += ["-c", each]
    url = f"postgresql://incamera@127.0.0.1:{port}/postgres"

    def ready() -> bool:
        asked = [str(Path(server).with_name("pg_isready")), "-q", "-h", "127.0.0.1"]
        return subprocess.run([*asked, "-p", str(port)], check=False).returncode == 0

    with _running(Engine("postgres", url, port, command, folder, user, ready)) as engine:
        yield engine


@contextlib.contextmanager
def nats(*, port: int | None = None) -> Iterator[Engine]:
    """A nats-server with JetStream, its store in a folder that outlives a kill."""
    server = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if server is None:
        pytest.skip("nats-server is not installed: apt-get install nats-server")
    folder = Path(tempfile.mkdtemp(prefix="incamera-nats-", dir="/var/tmp"))
    port = port or free_ports(1)[0]
    config = folder / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/js" }}\n')
    command = [server, "-c", str(config)]
    with _running(Engine("nats", f"nats://127.0.0.1:{port}", port, command, folder)) as engine:
        yield engine


@contextlib.contextmanager
def s3(*, port: int | None = None) -> Iterator[Engine]:
    """An S3 endpoint (moto) with the bucket ``capsules``. It keeps nothing over a kill."""
    port = port or free_ports(1)[0]
    folder = Path(tempfile.mkdtemp(prefix="incamera-s3-", dir="/var/tmp"))
    url = f"http://127.0.0.1:{port}"
    serve = (
        "from moto.moto_server.werkzeug_app import DomainDispatcherApplication as D, "
        "create_backend_app as c\nfrom werkzeug.serving import make_server\n"
        f"make_server('127.0.0.1', {port}, D(c), threaded=True).serve_forever()"
    )

    def ready() -> bool:
        try:
            make = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
            with urllib.request.urlopen(make, timeout=5):
                return True
        except urllib.error.HTTPError:
            return True  # there already
        except OSError:
            return False

    with _running(Engine("s3", url, port, [sys.executable, "-c", serve], folder, None, ready)) as e:
        yield e
