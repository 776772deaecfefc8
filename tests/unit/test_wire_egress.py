# SPDX-License-Identifier: Apache-2.0
"""A process held to a list of addresses: each way of connecting, on real sockets."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from incamera.errors import PolicyError, UnavailableError
from incamera.wire import Client, RefusedError, egress
from incamera.wire.egress import ForeignError, Place

FOREIGN = "203.0.113.7"  # TEST-NET-3 (RFC 5737): nobody is there


def place(network: str, port: int, host: str = "") -> Place:
    """A place of one party."""
    return Place("vault", host, ipaddress.ip_network(network), port)


@pytest.fixture(autouse=True)
def free() -> Iterator[None]:
    """Whatever a test declares ends with it."""
    yield
    egress.guard(None)


@pytest.fixture
def here() -> Iterator[int]:
    """A port on loopback where each connection is answered with one HTTP response."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=speak, args=(sock,), daemon=True).start()

        def speak(sock: socket.socket) -> None:
            with sock:
                while sock.recv(1 << 16):
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def declare(*places: Place) -> None:
    """Hold this process to these."""
    egress.guard(lambda: places)


def test_without_a_list_everything_connects(here: int) -> None:
    """A guard whose region declared nothing stands in nobody's way."""
    egress.guard(lambda: None)
    with Client(f"http://127.0.0.1:{here}", attempts=1) as client:
        assert client.get("x", limit=10) == b"hi"
    assert egress.check("127.0.0.1", here) == ["127.0.0.1"]


def test_a_declared_address_connects_and_any_other_is_refused_unsent(here: int) -> None:
    """The same address at another port is another address, and the refusal is not retried."""
    declare(place("127.0.0.0/24", here))
    with Client(f"http://127.0.0.1:{here}", attempts=1) as client:
        assert client.get("x", limit=10) == b"hi"
    for url in (f"http://{FOREIGN}:{here}", f"http://127.0.0.1:{here + 1}", "http://[::1]:80"):
        with (
            Client(url, attempts=3) as client,
            pytest.raises(RefusedError, match="not an address") as caught,
        ):
            client.get("x", limit=10)
        assert caught.value.code == "residency"
        assert caught.value.exit_code == 5


def test_a_name_that_is_about_to_be_declared_may_be_looked_up(here: int) -> None:
    """By whoever declares it, and while he does; nobody is connected to under it all the same."""
    declare(place("192.0.2.1/32", here))
    with pytest.raises(ForeignError, match="not looked up"):
        socket.getaddrinfo("localhost", here)
    with egress.naming():
        assert socket.getaddrinfo("localhost", here)
        with pytest.raises(ForeignError, match="not an address"):
            socket.create_connection(("localhost", here), timeout=5)
    with pytest.raises(ForeignError, match="not looked up"):
        socket.getaddrinfo("localhost", here)


def test_a_name_that_suddenly_points_abroad_is_refused(
    here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is the address that a name has now, whoever answers for the name."""
    real = socket.getaddrinfo
    answers: list[str] = ["127.0.0.1"]

    def lookup(host: str, port: int, *rest: int, **more: int) -> Sequence[object]:
        return [each for a in answers for each in real(a, port, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    declare(place("127.0.0.1/32", here, "vault.example"))
    with Client(f"http://vault.example:{here}", attempts=1) as client:
        assert client.get("x", limit=10) == b"hi"
    answers[:] = [FOREIGN]
    with (
        Client(f"http://vault.example:{here}", attempts=1) as client,
        pytest.raises(RefusedError, match=FOREIGN),
    ):
        client.get("x", limit=10)
    with pytest.raises(ForeignError, match=FOREIGN):
        egress.check("vault.example", here)
    answers[:] = [FOREIGN, "127.0.0.1"]  # of several, only those on the list
    assert egress.check("vault.example", here) == ["127.0.0.1"]
    with Client(f"http://vault.example:{here}", attempts=1) as client:
        assert client.get("x", limit=10) == b"hi"


def test_a_name_that_was_not_declared_is_not_looked_up() -> None:
    """A lookup is a packet too, and may carry what a name can hold."""
    declare(place("127.0.0.1/32", 80, "vault.example"))
    for act in (
        lambda: socket.getaddrinfo("secret.abroad.example", 80),
        lambda: socket.gethostbyname("secret.abroad.example"),
        lambda: egress.check("secret.abroad.example", 80),
    ):
        with pytest.raises(ForeignError, match="not looked up"):
            act()


def test_whichever_library_connects_is_held_to_the_list(here: int) -> None:
    """Plain sockets, datagrams and asyncio (as asyncpg and nats-py connect) alike."""
    declare(place("127.0.0.1/32", here))

    async def stream(host: str) -> None:
        _, writer = await asyncio.open_connection(host, here)
        writer.close()
        await writer.wait_closed()

    asyncio.run(stream("127.0.0.1"))
    with pytest.raises(ForeignError):
        asyncio.run(stream(FOREIGN))
    with socket.socket() as sock, pytest.raises(PermissionError):
        sock.connect((FOREIGN, here))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for send in (sock.sendto, lambda data, to: sock.sendmsg([data], [], 0, to)):
            with pytest.raises(ForeignError):
                send(b"x", (FOREIGN, 53))
    with socket.socket(socket.AF_INET6) as sock, pytest.raises(ForeignError):
        sock.connect((f"::ffff:{FOREIGN}", here))


def test_a_socket_of_this_machine_connects(tmp_path: object) -> None:
    """AF_UNIX leaves no machine: a database beside us, systemd's notification."""
    declare(place("127.0.0.1/32", 80))
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect(f"{tmp_path}/none")


def test_a_newer_list_counts_and_ends_what_was_connected(
    here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that stands is not used again once its address was taken off the list."""
    monkeypatch.setattr(egress, "_AGE", 0.0)
    places = [place("127.0.0.1/32", here)]
    egress.guard(lambda: places)
    with Client(f"http://127.0.0.1:{here}", attempts=1) as client:
        assert client.get("x", limit=10) == b"hi"
        places[:] = [place("127.0.0.2/32", here)]
        with pytest.raises(RefusedError, match=r"127\.0\.0\.1"):
            client.get("x", limit=10)


def test_a_list_that_cannot_be_read_lets_nothing_out(here: int) -> None:
    """Fail closed; and a list that vanishes is still the list."""

    def broken() -> Sequence[Place] | None:
        raise UnavailableError("the list cannot be read")

    egress.guard(broken)
    with socket.socket() as sock, pytest.raises(UnavailableError, match="cannot be read"):
        sock.connect(("127.0.0.1", here))


def test_a_list_that_vanishes_is_still_the_list(here: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can delete a party's reading of the log cannot so open its doors."""
    monkeypatch.setattr(egress, "_AGE", 0.0)
    now: list[Sequence[Place] | None] = [[place("127.0.0.2/32", here)]]
    egress.guard(lambda: now[0])
    for _ in range(2):
        with socket.socket() as sock, pytest.raises(ForeignError):
            sock.connect(("127.0.0.1", here))
        now[0] = None


def test_a_refusal_reads_as_one_of_ours() -> None:
    """A rule forbids it: exit code 5, and what to do."""
    error = ForeignError("203.0.113.7 port 80 is not an address of this region")
    assert isinstance(error, PolicyError)
    assert str(error) == error.message
    assert "incamera addresses" in (error.hint or "")
