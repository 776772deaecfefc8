# SPDX-License-Identifier: Apache-2.0
"""Capsules that come in parts: a link that breaks, a vault that dies, a car that asks again."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from incamera.encoding import base64_text
from incamera.errors import InputError, UnavailableError
from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import SigningKey
from incamera.service.clients import VaultClient
from incamera.service.deliver import TUS
from incamera.wire import BusyError, MissingError, RefusedError
from serving import CLOCK, Region, region
from world import quick_folder

LONG = 3 << 20


@pytest.fixture(scope="module")
def parties() -> Iterator[Region]:
    """Log, vault and witnesses; of uploads, two for a car at a time."""
    with quick_folder() as folder, region(folder) as made:
        vault = made.parties["vault"]
        vault.stop()
        told = vault.config.read_text().replace("[log]", "[limits]\nuploads = 2\n[log]", 1)
        vault.config.write_text(told)
        vault.start()
        yield made


@pytest.fixture
def car(parties: Region) -> Iterator[VaultClient]:
    """The region's car, at the vault."""
    key = SigningKey.load(parties.home.car / "signing.key")
    client = VaultClient(parties.urls["vault"], key, CLOCK, seconds=20)
    yield client
    client.close()


def long(parties: Region, size: int = LONG) -> tuple[Path, Capsule]:
    """A capsule that is sent in parts."""
    path = parties.seal(bytes(size))
    return path, read_capsule(path)


def check(parties: Region, receipt: bytes, capsule: Capsule) -> int:
    """The log index of which ``receipt`` is proof."""
    founding = parties.state().region
    assert founding is not None
    return check_receipt(receipt, capsule.digest, founding, parties.policy).index


def announce(parties: Region, capsule: Capsule, key: SigningKey | None = None) -> dict[str, str]:
    """``POST /uploads``; the answer's headers."""
    key = key or SigningKey.load(parties.home.car / "signing.key")
    target = f"uploads?capsule={capsule.digest}&length={capsule.size}"
    headers = {"Tus-Resumable": TUS, "Upload-Length": str(capsule.size)}
    headers["Upload-Metadata"] = f"capsule {base64_text(capsule.digest.encode())}"
    with parties.client("vault", key).stream("POST", target, headers=headers) as answer:
        answer.whole(1000)
        return dict(answer.headers)


def offset(parties: Region, place: str) -> int:
    """``HEAD``: where the upload is."""
    with parties.client("vault").stream("HEAD", place, headers={"Tus-Resumable": TUS}) as answer:
        return int(answer.headers["upload-offset"])


def patch(parties: Region, place: str, at: int, data: bytes, *, claim: int = 0) -> socket.socket:
    """Begin a ``PATCH`` that claims ``claim`` more bytes than are sent; the open connection."""
    host, port = parties.urls["vault"].split("//")[1].split(":")
    lines = [
        f"PATCH /{place} HTTP/1.1",
        "Host: x",
        f"Tus-Resumable: {TUS}",
        f"Upload-Offset: {at}",
        "Content-Type: application/offset+octet-stream",
        f"Content-Length: {len(data) + claim}",
    ]
    link = socket.create_connection((host, int(port)), timeout=20)
    link.sendall("\r\n".join([*lines, "", ""]).encode() + data)
    return link


def until(parties: Region, place: str, least: int) -> int:
    """Wait until the vault has ``least`` bytes."""
    for _ in range(100):
        if (at := offset(parties, place)) >= least:
            return at
        time.sleep(0.05)
    raise AssertionError(f"the vault has {at} bytes, not {least}")


def left(parties: Region) -> list[str]:
    """Files of uploads that the vault still has."""
    folder = parties.home.vault / "uploads"
    return sorted(each.name for each in folder.glob("*/*") if each.suffix != ".lock")


def test_a_long_capsule_goes_in_parts_and_a_short_one_whole(
    parties: Region, car: VaultClient
) -> None:
    """Both end with a receipt that holds; the progress goes up to all of it; nothing is left."""
    for size in (100, LONG):
        path, capsule = long(parties, size)
        told: list[tuple[int, int]] = []
        receipt = car.send(path, progress=lambda *each, told=told: told.append(each))
        at = check(parties, receipt, capsule)
        assert told[-1] == (capsule.size, capsule.size)
        assert told == sorted(told)
        assert check(parties, car.send(path), capsule) == at  # again: no second entry
    assert not left(parties)


def test_a_broken_link_goes_on_where_it_stopped(parties: Region, car: VaultClient) -> None:
    """Cut off in the middle, what came is kept; the vault is killed, and still knows."""
    path, capsule = long(parties)
    place = announce(parties, capsule)["location"]
    data = path.read_bytes()
    patch(parties, place, 0, data[: 1 << 20], claim=1 << 20).close()
    seen = until(parties, place, 1 << 19)
    parties.parties["vault"].kill()
    parties.parties["vault"].start()
    kept = offset(parties, place)
    assert seen <= kept <= 1 << 20  # what was under way came after the look, before the kill
    assert announce(parties, capsule)["upload-offset"] == str(kept)
    told: list[int] = []
    receipt = car.send(path, progress=lambda done, size: told.append(done))
    assert told[0] > kept  # and what the vault had was not sent again
    check(parties, receipt, capsule)
    with pytest.raises(MissingError):
        offset(parties, place)


def test_the_vault_dies_while_a_capsule_comes(parties: Region, car: VaultClient) -> None:
    """Killed again and again during one delivery, which ends with a receipt all the same."""
    path, capsule = long(parties, 6 << 20)
    vault, stop = parties.parties["vault"], threading.Event()

    def again() -> None:
        for _ in range(3):
            stop.wait(0.15)
            vault.kill()
            vault.start()

    thread = threading.Thread(target=again)

    def slowly(done: int, size: int) -> None:
        del done, size
        time.sleep(0.02)

    thread.start()
    try:
        receipt = car.send(path, progress=slowly)
    finally:
        thread.join(60)
    check(parties, receipt, capsule)
    state = parties.state().capsule(capsule.digest)
    assert state is not None


def test_whoever_comes_later_goes_on(parties: Region, car: VaultClient) -> None:
    """A connection that hangs half-open keeps nobody out: its sender has come again."""
    path, capsule = long(parties)
    place = announce(parties, capsule)["location"]
    data = path.read_bytes()
    hanging = patch(parties, place, 0, data[: 1 << 20], claim=1 << 20)
    until(parties, place, 1 << 19)
    begun = time.monotonic()
    check(parties, car.send(path), capsule)
    assert time.monotonic() - begun < 10
    with contextlib.suppress(OSError):
        assert b" 423 " in hanging.recv(100)
    hanging.close()


def test_only_the_car_announces_and_only_what_was_announced_is_taken(parties: Region) -> None:
    """Unsigned, by a reader, two lengths, another capsule's bytes, too long a part, a lost name."""
    path, capsule = long(parties)
    reader = parties.enrol("curious", "research", "DE")
    with pytest.raises(RefusedError, match="begin-upload"):
        announce(parties, capsule, reader.signing)
    with pytest.raises(RefusedError, match="not enrolled"):
        announce(parties, capsule, SigningKey.generate())
    place = announce(parties, capsule)["location"]
    _, other = long(parties)
    with patch(parties, place, 0, other.path.read_bytes()) as link:
        assert b"400 Bad Request" in link.recv(10_000)
    with pytest.raises(MissingError):  # it could never have been admitted
        offset(parties, place)
    place = announce(parties, capsule)["location"]
    with patch(parties, place, 7, b"x") as link:
        assert b" 409 " in link.recv(10_000)
    with patch(parties, place, 0, path.read_bytes(), claim=1) as link:
        assert b" 413 " in link.recv(10_000)
    headers = {"Tus-Resumable": TUS}
    with parties.client("vault").stream("DELETE", place, headers=headers) as answer:
        assert answer.status == 204
    assert not left(parties)


def test_a_damaged_part_is_found_by_the_digest(parties: Region, car: VaultClient) -> None:
    """Zeros where a power cut left them: refused, forgotten, and sent anew."""
    path, capsule = long(parties)
    place = announce(parties, capsule)["location"]
    data = path.read_bytes()
    patch(parties, place, 0, data[: 2 << 20], claim=1).close()
    until(parties, place, 1 << 20)
    [part] = (parties.home.vault / "uploads").glob("*/*.part")
    with part.open("r+b") as file:
        file.seek(600_000)
        file.write(b"\1" * 100)
    with pytest.raises(Exception, match="not the one that was sealed"):
        car.send(path)
    assert not left(parties)
    check(parties, car.send(path), capsule)


def test_a_car_has_so_many_uploads_at_a_time(parties: Region) -> None:
    """The third is told to wait (429), with how long; one given up makes room."""
    capsules = [long(parties)[1] for _ in range(3)]
    places = [announce(parties, each)["location"] for each in capsules[:2]]
    with pytest.raises(BusyError) as caught:
        announce(parties, capsules[2])
    assert caught.value.after > 30
    headers = {"Tus-Resumable": TUS}
    for place in places:
        with parties.client("vault").stream("DELETE", place, headers=headers):
            pass
    place = announce(parties, capsules[2])["location"]
    with parties.client("vault").stream("DELETE", place, headers=headers):
        pass


def test_what_is_offered_and_in_which_version(parties: Region) -> None:
    """``OPTIONS`` says it; another version is told so."""
    with parties.client("vault").stream("OPTIONS", "uploads") as answer:
        assert answer.headers["tus-version"] == TUS
        assert answer.headers["tus-extension"] == "creation,termination,expiration"
    with (
        pytest.raises(InputError, match="say so in Tus-Resumable"),
        parties.client("vault").stream("DELETE", "uploads/x"),
    ):
        pass


def test_a_vault_that_is_away_is_asked_some_times(parties: Region, tmp_path: Path) -> None:
    """And then it is said so; a file that is no capsule is not sent at all."""
    key = SigningKey.load(parties.home.car / "signing.key")
    nobody = VaultClient("http://127.0.0.1:9", key, CLOCK, seconds=1)
    with pytest.raises(UnavailableError, match="does not answer"):
        nobody.send(parties.seal(b"a clip"), attempts=2)
    odd = tmp_path / "x.capsule"
    odd.write_bytes(b"no capsule")
    with pytest.raises(InputError, match="not a capsule"):
        nobody.send(odd)
    nobody.close()


def test_nothing_of_it_was_a_fault(parties: Region) -> None:
    """And no line names a digest."""
    for line in parties.parties["vault"].log().splitlines():
        said = json.loads(line)
        assert said["event"] != "fault", said
