# SPDX-License-Identifier: Apache-2.0
"""Machines that are network namespaces, on one switch, whose wires can be cut.

Only inside a network and a mount namespace of one's own (``unshare --net --mount``): then all of it
is gone when the process ends, and nothing outside can be reached.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["SWITCH", "Wires", "possible"]

SWITCH = "10.77.0.254"
"""Where this process sits."""


def possible() -> str:
    """Empty, or why namespaces cannot be made here."""
    try:
        done = subprocess.run(
            ["unshare", "--net", "--mount", "ip", "link", "add", "br0", "type", "bridge"],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


def ip(*words: str) -> None:
    """Run ``ip``."""
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


class Wires:
    """One machine for each name, at 10.77.0.1 and on; this process sits at 10.77.0.254."""

    def __init__(self, names: Sequence[str]) -> None:
        # Names of namespaces are files there, and others on this host may have such machines too.
        Path("/run/netns").mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "tmpfs", "/run/netns"]
        subprocess.run(mount, check=True, capture_output=True, timeout=20)
        ip("link", "set", "lo", "up")
        ip("link", "add", "switch", "type", "bridge")
        ip("addr", "add", f"{SWITCH}/24", "dev", "switch")
        ip("link", "set", "switch", "up")
        self.addresses: dict[str, str] = {}
        self._wires: dict[str, str] = {}
        for number, name in enumerate(names, 1):
            self._machine(number, name)

    def _machine(self, number: int, name: str) -> None:
        space, wire, plug = self.space(name), f"w{number}", f"p{number}"
        ip("netns", "add", space)
        ip("link", "add", wire, "type", "veth", "peer", "name", plug)
        ip("link", "set", plug, "netns", space)
        ip("link", "set", wire, "master", "switch")
        ip("link", "set", wire, "up")
        ip("-n", space, "addr", "add", f"10.77.0.{number}/24", "dev", plug)
        ip("-n", space, "link", "set", plug, "up")
        ip("-n", space, "link", "set", "lo", "up")
        # What is sent to anywhere leaves by the wire, where it can be seen; and ends at the switch.
        ip("-n", space, "route", "add", "default", "via", SWITCH)
        self.addresses[name] = f"10.77.0.{number}"
        self._wires[name] = wire

    def space(self, name: str) -> str:
        """The name of a machine's namespace."""
        return f"incamera-{name}"

    def machine(self, name: str) -> tuple[str, ...]:
        """What a command is prefixed with to run there."""
        return ("ip", "netns", "exec", self.space(name))

    def wire(self, name: str) -> str:
        """This process's end of a machine's only wire: an interface."""
        return self._wires[name]

    @contextlib.contextmanager
    def cut(self, *names: str) -> Iterator[None]:
        """These machines hear and say nothing while the block runs: not even a refusal."""
        for name in names:
            ip("link", "set", self._wires[name], "down")
        try:
            yield
        finally:
            for name in names:
                ip("link", "set", self._wires[name], "up")

    def close(self) -> None:
        """Remove the machines."""
        for name in self.addresses:
            subprocess.run(["ip", "netns", "del", self.space(name)], check=False, timeout=20)
