# SPDX-License-Identifier: Apache-2.0
"""Where this process may connect: to the addresses its region declared, and to no others.

:func:`guard` is called once, by each party as it starts. From then on every connection of this
process is looked at where it is made, whichever library makes it: Python raises an audit event
(PEP 578) before each ``connect`` and ``sendto``, with the address that the packets would go to. So
a name that suddenly resolves to somewhere else is refused by the address, and a name that was
never declared is not even looked up.

What connects past Python's sockets (the S3 client is Rust) raises no such event and must call
:func:`check` before it connects. A process that was taken over can do as it likes: against that
stands the kernel's packet filter (``incamera addresses --nftables``), outside of it.

=====================================  ========================================
asked for                              under a declared list
=====================================  ========================================
an address on the list, its port       connects
an address that is not, or other port  :class:`ForeignError`, nothing is sent
a name that is on the list             looked up; then as above, by the address
a name that is not                     :class:`ForeignError`, not looked up; but for :func:`naming`
a socket of this machine (AF_UNIX)     connects
a socket of any other family           :class:`ForeignError`
the list cannot be read                :class:`UnavailableError`
=====================================  ========================================

>>> home = Place("vault", "", ipaddress.ip_network("192.0.2.7/32"), 443)
>>> allowed([home], "192.0.2.7", 443), allowed([home], "203.0.113.9", 443)
(True, False)
"""

from __future__ import annotations

import contextlib
import contextvars
import errno
import ipaddress
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from incamera.clock import monotonic
from incamera.errors import PolicyError, UnavailableError

__all__ = [
    "ForeignError",
    "Network",
    "Place",
    "Source",
    "allowed",
    "check",
    "guard",
    "naming",
    "renew",
    "version",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_AGE = 1.0  # seconds that a list counts before it is read again


class ForeignError(PolicyError, PermissionError):
    """The address is not on the region's list.

    An :class:`OSError` too: a library that connects goes on to the next address of a name, or
    gives up, as if the kernel had refused.
    """

    def __init__(self, message: str) -> None:
        """``message``: who is not declared."""
        hint = (
            "see `incamera addresses`: the operator declares an address in the log, or this "
            "party was told of one that is none of the region's"
        )
        super().__init__(message, hint=hint)
        self.errno = errno.EPERM
        self.code = "residency"

    def __str__(self) -> str:
        """The message; not an OSError's number and text."""
        return self.message


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """An address that may be connected to, by TCP or UDP."""

    party: str  # whose it is
    host: str  # the name that may be looked up for it; or empty
    network: Network
    port: int


Source = Callable[[], Sequence[Place] | None]
"""The list as it stands now; None while none is declared."""


def allowed(places: Sequence[Place], address: str, port: int) -> bool:
    """True if ``address`` (numeric) and ``port`` are those of a place."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(
        port == each.port and found.version == each.network.version and found in each.network
        for each in places
    )


class _Guard:
    """The list that this process is held to."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._turn = threading.RLock()
        self._read = -_AGE
        #: The last list that was read: one that vanishes is still the list.
        self._places: tuple[Place, ...] | None = None
        #: Grows when the list changes: connections made under another are not used again.
        self.version = 0

    def places(self) -> tuple[Place, ...] | None:
        """The list now, at most a second old; None while none was ever declared."""
        with self._turn:
            if monotonic() - self._read >= _AGE:
                self._read = monotonic()  # first: the source may be what asks
                try:
                    found = self._source()
                except BaseException:
                    self._read = -_AGE
                    raise
                if found is not None and tuple(found) != self._places:
                    self._places = tuple(found)
                    self.version += 1
            return self._places

    def renew(self) -> None:
        with self._turn:
            self._read = -_AGE

    def connecting(self, address: str, port: int) -> None:
        places = self.places()
        if places is not None and not allowed(places, address, port):
            raise ForeignError(f"{address} port {port} is not an address of this region")

    def looking_up(self, host: object) -> None:
        name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
        if not isinstance(name, str) or not name or _numeric(name) or _naming.get():
            return
        places = self.places()
        if places is not None and name.lower() not in {each.host for each in places if each.host}:
            raise ForeignError(f"{name:.100} is not a host of this region, and is not looked up")


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


_guard: _Guard | None = None
_naming = contextvars.ContextVar("naming", default=False)
_hooked = threading.Lock()


def guard(source: Source | None) -> None:
    """Hold this process to the list of ``source`` from now on; None: to no list (for tests)."""
    global _guard  # noqa: PLW0603 - one process is one party
    if source is not None and _hooked.acquire(blocking=False):
        sys.addaudithook(_hook)  # for good: Python has no way to take one away
    _guard = None if source is None else _Guard(source)


@contextlib.contextmanager
def naming() -> Iterator[None]:
    """Within it any name may be looked up, as an operator must who is about to declare it.

    Nobody is connected to for that, and where the name leads stays as forbidden as it was.
    """
    before = _naming.set(True)
    try:
        yield
    finally:
        _naming.reset(before)


def renew() -> None:
    """The list is read again before the next connection: for who knows that it may be another."""
    if (held := _guard) is not None:
        held.renew()


def version() -> int:
    """Changes when the list does; 0 while there is none."""
    held = _guard
    if held is None:
        return 0
    held.places()
    return held.version


def check(host: str, port: int) -> list[str]:
    """The addresses of ``host`` that may be connected to; for what connects past Python.

    :class:`ForeignError` if it has none, :class:`UnavailableError` if it cannot be looked up.
    Without a list, all of them. Connect to what is returned, where the library lets you.
    """
    held = _guard
    if held is not None:
        held.looking_up(host)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(f"{host:.100} cannot be looked up: {error}") from error
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    places = None if held is None else held.places()
    if places is None:
        return addresses
    inside = [each for each in addresses if allowed(places, each, port)]
    if not inside:
        raise ForeignError(
            f"{host:.100} is {', '.join(addresses):.200}, and port {port} of that is not an "
            "address of this region"
        )
    return inside


# The hook: called for each audit event of the interpreter, so what is not ours leaves at once.


def _hook(event: str, args: tuple[Any, ...]) -> None:
    judge = _EVENTS.get(event)
    if judge is not None and _guard is not None:
        judge(_guard, args)


def _connect(held: _Guard, args: tuple[Any, ...]) -> None:
    sock, address = args[0], args[1]
    if address is None or sock.family == socket.AF_UNIX:
        return  # sent on a socket that was connected; or stays on this machine
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        if held.places() is not None and sock.family != socket.AF_NETLINK:
            raise ForeignError(f"a socket of family {sock.family} is for no address of this region")
        return
    host, port = address[0], address[1]
    if not _numeric(host):  # Python would look it up within connect
        held.looking_up(host)
        host = socket.getaddrinfo(host, port, sock.family, socket.SOCK_STREAM)[0][4][0]
    held.connecting(str(host), port)


def _lookup(held: _Guard, args: tuple[Any, ...]) -> None:
    held.looking_up(args[0])


_EVENTS: dict[str, Callable[[_Guard, tuple[Any, ...]], None]] = {
    "socket.connect": _connect,
    "socket.sendto": _connect,
    "socket.sendmsg": _connect,
    "socket.getaddrinfo": _lookup,
    "socket.gethostbyname": _lookup,
    "socket.gethostbyaddr": _lookup,
}
