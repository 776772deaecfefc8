# SPDX-License-Identifier: Apache-2.0
"""``incamera`` as a process of its own, without a second of importing before each.

Half of a journey's CPU time was the same modules, loaded by each of its processes. Here one
process loads them once, and forks: what it forks is a process like any other, a child of the
asker's, with its own environment, folder, standard streams, signals and exit code; it runs
``python -m incamera`` from there. Not for tests of what is loaded when, of what a process weighs,
or of a verb as such: :mod:`subprocess` starts those (see ``test_scripts``), as it does all where
nobody called :func:`begin`, so benches measure what an operator has.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Popen", "begin", "run"]

_SUBREAPER = 36  # prctl(2), PR_SET_CHILD_SUBREAPER
_NETWORK = 0x40000000  # setns(2), CLONE_NEWNET
_MOST = 1 << 17  # bytes of one question: the arguments and the environment
_NOT_LOADED = ("incamera.vault.migrations", "incamera.__main__")  # these run when they are loaded


class _Kindling:
    """The process that forks, started when first asked."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._libc = ctypes.CDLL(None, use_errno=True)

    def _start(self) -> socket.socket:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

        def end() -> None:
            mine.close()
            process.wait(10)

        atexit.register(end)
        return mine

    def fork(self, asked: dict[str, Any], streams: Sequence[int]) -> int:
        """The id of a new process, a child of this one."""
        if self._socket is None:
            self._socket = self._start()
        # Whoever is between us and the new process has ended before we are answered: its child is
        # then handed to the nearest ancestor that takes orphans, for this moment us.
        self._libc.prctl(_SUBREAPER, 1, 0, 0, 0)
        try:
            socket.send_fds(self._socket, [json.dumps(asked).encode()], streams)
            return int(self._socket.recv(32))
        finally:
            self._libc.prctl(_SUBREAPER, 0, 0, 0, 0)


_kindling: _Kindling | None = None


def begin() -> None:
    """From now on, in this process, :class:`Popen` forks."""
    global _kindling  # noqa: PLW0603 - one for each process
    _kindling = _kindling or _Kindling()


def _taken(command: list[str]) -> tuple[str, list[str]] | None:
    """The network namespace ("": this one) and arguments, if it is ``incamera`` that is to run."""
    if command[:3] == ["ip", "netns", "exec"]:
        within = _taken(command[4:])
        return (command[3], within[1]) if within else None
    if command[:3] == [sys.executable, "-m", "incamera"]:
        return "", command[3:]
    if command[:1] == [str(Path(sys.executable).with_name("incamera"))]:
        return "", command[1:]
    return None


def _pythons(environment: Mapping[str, str]) -> dict[str, str]:
    """What the interpreter reads when it starts: this cannot be made good in a fork."""
    names = (name for name in environment if name.startswith("PYTHON") and name != "PYTHONPATH")
    return {name: environment[name] for name in names}


class Popen(subprocess.Popen[Any]):
    """:class:`subprocess.Popen`; ``incamera`` is forked if it can be, and others are started."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        """Start the child; ``rest`` begins as in CPython 3.2 to 3.14."""
        _, before, _, handed, cwd, env, _, _, shell, stdin, _, _, stdout, _, stderr, *_ = rest
        words = [] if isinstance(args, str | bytes | os.PathLike) else [os.fspath(w) for w in args]
        environment = dict(os.environ if env is None else env)
        taken = _taken(words)
        plain = not (before or handed or shell) and _pythons(environment) == _pythons(os.environ)
        if _kindling is None or taken is None or not plain:
            super()._execute_child(args, *rest)  # type: ignore[misc]
            return
        given = (stdin, stdout, stderr)
        streams = [own if fd == -1 else fd for own, fd in enumerate(given)]
        folder = os.fspath(cwd) if cwd else str(Path.cwd())
        asked = {"folder": folder, "environment": environment}
        asked |= {"space": taken[0], "arguments": taken[1]}
        self.pid = _kindling.fork(asked, streams)
        self._child_created = True
        self._close_pipe_fds(*rest[9:15])  # type: ignore[attr-defined]


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    timeout: float | None = None,
    check: bool = False,
    **more: Any,
) -> subprocess.CompletedProcess[Any]:
    """As :func:`subprocess.run` with ``capture_output``."""
    pipe = subprocess.PIPE
    with Popen(command, stdout=pipe, stderr=pipe, **more) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


# In the process that forks


def _load() -> None:
    import incamera

    for each in pkgutil.walk_packages(incamera.__path__, "incamera."):
        if not each.name.startswith(_NOT_LOADED):
            importlib.import_module(each.name)
    importlib.import_module("openvino")
    gc.collect()
    gc.freeze()  # what is shared stays so: no collection writes into it


def _become(asked: dict[str, Any], streams: Sequence[int]) -> None:
    """This process's streams, network, folder, environment and arguments are those asked for."""
    for own, fd in enumerate(streams):
        os.dup2(fd, own)
    for fd in streams:
        os.close(fd)
    if asked["space"]:
        with open(f"/run/netns/{asked['space']}") as there:  # noqa: PTH123 - a descriptor
            if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), _NETWORK):
                raise OSError(ctypes.get_errno(), "cannot enter", asked["space"])
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[0] = asked["folder"]
    sys.path[1:1] = [each for each in os.environ.get("PYTHONPATH", "").split(":") if each]
    sys.argv = ["incamera", *asked["arguments"]]


def _wait_to_be(control: socket.socket) -> None:
    """Returns in each child; ends where nobody asks any more."""
    while True:
        question, streams, _, _ = socket.recv_fds(control, _MOST, 3)
        if not question:
            sys.exit(0)
        told, tells = os.pipe()
        if between := os.fork():
            os.close(tells)
            os.waitpid(between, 0)
            with open(told, "rb") as pipe:  # noqa: PTH123 - a descriptor
                number = pipe.read()
            for fd in streams:
                os.close(fd)
            control.send(number)
            continue
        os.close(told)
        if child := os.fork():
            os.write(tells, str(child).encode())
            os._exit(0)
        os.close(tells)
        control.close()
        _become(json.loads(question), streams)
        return


def _run() -> int:
    """What the interpreter does with its main module; the exit code."""
    try:
        runpy.run_module("incamera", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
            return 1
        return ended.code or 0
    except BaseException:  # noqa: BLE001 - told as the interpreter tells it
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code: int) -> None:
    """What the interpreter does at its end, but for taking every module apart."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _load()
    with contextlib.suppress(KeyboardInterrupt):  # ^C is for the tests
        _wait_to_be(socket.socket(fileno=int(sys.argv[1])))
    _end(_run())
