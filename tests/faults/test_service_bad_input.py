# SPDX-License-Identifier: Apache-2.0
"""What each party answers to what it should never be sent: one status, one line, no harm.

Tables of oversized, malformed, replayed, stale, future and wrong calls, sent to real processes
byte by byte. Afterwards nothing that the parties keep has changed, and nothing was a fault.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from incamera.encoding import base64_text, canonical
from incamera.ids import digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry, RevokeEntry
from incamera.ledger.evidence import parse_evidence
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.keys import SigningKey
from incamera.service import sign_call
from incamera.tlog.keys import load_signer
from incamera.tlog.note import sign
from serving import CLOCK, Reader, Region, region
from world import quick_folder

Headers = dict[str, str]


@pytest.fixture(scope="module")
def parties() -> Iterator[Region]:
    """All eight, running."""
    with quick_folder() as folder, region(folder) as made:
        yield made


@pytest.fixture(scope="module")
def reader(parties: Region) -> Reader:
    """An enrolled reader."""
    return parties.enrol()


@pytest.fixture(scope="module")
def capsule(parties: Region) -> Capsule:
    """A capsule in the vault."""
    path = parties.seal(b"a clip")
    parties.upload(path)
    return read_capsule(path)


@pytest.fixture
def unchanged(parties: Region) -> Iterator[None]:
    """What is kept before is kept after, byte for byte."""
    before = kept(parties)
    yield
    assert kept(parties) == before
    for party in parties.parties.values():
        assert '"fault"' not in party.log()


def kept(parties: Region) -> dict[str, str]:
    """The digest of every file of log, vault and witnesses; not of what moves by itself."""
    found = {}
    for root in (parties.home.log, parties.home.vault / "blobs", parties.home.root / "witness"):
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.name not in ("lock", "checkpoint"):
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted((parties.home.public / "tile").rglob("*")):
        if path.is_file():
            found[str(path)] = str(path.stat().st_mtime_ns)
    return found


class Told:
    """A raw answer."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int(self.head.split(" ")[1]) if head else 0

    def header(self, name: str) -> str:
        """Of that name in lower case, or nothing."""
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name:
                return value
        return ""


def raw(parties: Region, name: str, data: bytes, *, seconds: float = 30) -> Told:
    """Send ``data`` as it is; what comes back until the server closes, or is silent."""
    host, port = parties.urls[name].split("//")[1].split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as place:
        with contextlib.suppress(OSError):  # it answered and closed before it had read all
            place.sendall(data)
        found = b""
        with contextlib.suppress(OSError):
            while piece := place.recv(65536):
                found += piece
    return Told(found)


def call(
    parties: Region, name: str, method: str, path: str, body: bytes = b"", **headers: str
) -> Told:
    """One call, on a connection of its own."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    if "Content_Length" not in headers and "Transfer_Encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return raw(parties, name, "\r\n".join([*lines, "", ""]).encode() + body)


def check_told(told: Told, status: int) -> None:
    """The status; a problem document of one clear line; nothing of our insides."""
    assert told.status == status, (told.head, told.body[:300])
    text = told.body.decode()
    assert "Traceback" not in text
    assert 'File "' not in text
    assert "uvicorn" not in told.head.lower()
    if told.header("content-type") == "application/problem+json":
        said = json.loads(text)
        assert said["status"] == status
        assert said["detail"]
        assert "\n" not in said["detail"]
        assert len(said["detail"]) < 600
    else:
        assert text.count("\n") <= 1


# Everybody

END = b"\r\nConnection: close\r\n\r\n"
TWO_LENGTHS = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"

ANYBODY: list[tuple[str, bytes, int]] = [
    ("not http", b"hello\r\n\r\n", 400),
    ("no host", b"GET /checkpoint HTTP/1.1" + END, 400),
    (
        "two lengths",
        TWO_LENGTHS,
        400,
    ),
    ("odd length", b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    ("long head", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40_000 + END, 431),
    ("endless head", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 400_000, 431),
    ("unknown path", b"GET /.git/config HTTP/1.1\r\nHost: x" + END, 404),
    ("up", b"GET /../../etc/passwd HTTP/1.1\r\nHost: x" + END, 404),
    (
        "up, hidden",
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        404,
    ),
    (
        "up, slash hidden",
        b"GET /..%2f..%2fetc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        404,
    ),
    ("deep", b"GET /" + b"a/" * 3_000 + b"a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    ("null", b"GET /a%00b HTTP/1.1\r\nHost: x" + END, 404),
    ("not utf-8", b"GET /%ff%fe HTTP/1.1\r\nHost: x" + END, 404),
    ("other method", b"DELETE /checkpoint HTTP/1.1\r\nHost: x" + END, 0),
]


@pytest.mark.parametrize("name", ["witness-1", "log", "vault", "trustee-de"])
@pytest.mark.parametrize(("data", "status"), [pytest.param(*row[1:], id=row[0]) for row in ANYBODY])
def test_what_no_party_takes(
    parties: Region, unchanged: None, name: str, data: bytes, status: int
) -> None:
    """Malformed HTTP, hidden paths, unknown ones: refused alike by all."""
    told = raw(parties, name, data)
    check_told(told, status or (405 if name == "log" else 404))


WRONG_METHODS = [
    ("witness-1", "GET", "/add-checkpoint"),
    ("witness-1", "PUT", "/add-checkpoint"),
    ("log", "GET", "/add"),
    ("log", "DELETE", "/checkpoint"),
    ("log", "PUT", "/add"),
    ("log", "POST", "/checkpoint"),
    ("vault", "GET", "/entries"),
    ("vault", "DELETE", "/capsules"),
    ("vault", "GET", "/evidence"),
    ("trustee-de", "GET", "/decide"),
    ("trustee-de", "POST", "/status"),
    ("trustee-de", "PUT", "/accuse"),
]


@pytest.mark.parametrize(("name", "method", "path"), WRONG_METHODS)
def test_a_wrong_method_is_told(
    parties: Region, unchanged: None, name: str, method: str, path: str
) -> None:
    """405, with the right ones in ``Allow``."""
    told = call(parties, name, method, path)
    check_told(told, 405)
    assert told.header("allow")


SIZES = [
    ("witness-1", "/add-checkpoint", 1 << 20),
    ("vault", "/entries", 65_535),
    ("trustee-de", "/decide", 1 << 24),
    ("trustee-de", "/accuse", 1 << 22),
]


@pytest.mark.parametrize(("name", "path", "limit"), SIZES)
@pytest.mark.parametrize("told_first", [True, False], ids=["Content-Length", "chunked"])
def test_too_much_is_not_read(
    parties: Region, unchanged: None, name: str, path: str, limit: int, told_first: bool
) -> None:
    """413 by the length a head claims, and by what comes where it claims none."""
    if told_first:
        told = call(parties, name, "POST", path, b"x" * 100, Content_Length=str(limit + 1))
    else:
        chunk = b"%x\r\n%s\r\n" % (1 << 16, b"x" * (1 << 16))
        body = chunk * (limit // (1 << 16) + 1) + b"0\r\n\r\n"
        told = call(parties, name, "POST", path, body, Transfer_Encoding="chunked")
    check_told(told, 413)


# The witness


Make = Callable[[Region], bytes]


def note_of(parties: Region, text: bytes) -> bytes:
    """Signed by the log."""
    return sign(text, [load_signer(parties.home.log / "note.key")])


def present(parties: Region) -> tuple[int, bytes]:
    """Size and text of the published checkpoint."""
    note = (parties.home.public / "checkpoint").read_bytes()
    text = note.partition(b"\n\n")[0] + b"\n"
    return int(text.split(b"\n")[1]), text


def root_text(parties: Region, size: int) -> bytes:
    """A checkpoint of ``size`` with a root that it does not have."""
    origin = present(parties)[1].split(b"\n")[0]
    return b"%s\n%d\n%s\n" % (origin, size, base64_text(b"r" * 32).encode())


def asking(old: bytes, text: Callable[[Region], bytes]) -> Make:
    """An add-checkpoint body whose checkpoint the log signed."""
    return lambda parties: old + b"\n" + note_of(parties, text(parties))


def now_text(parties: Region) -> bytes:
    """The published checkpoint's text."""
    return present(parties)[1]


def other_origin(parties: Region) -> bytes:
    """The same of another log."""
    return b"other.example/log\n" + now_text(parties).split(b"\n", 1)[1]


def from_nobody(parties: Region) -> bytes:
    """Signed by a key that is not the log's."""
    return b"old 0\n\n" + now_text(parties) + "\n— x AAAAAAAAAAAA\n".encode()


def from_the_future(parties: Region) -> bytes:
    """The old size is larger than the checkpoint's."""
    return asking(b"old %d\n" % (present(parties)[0] + 1), now_text)(parties)


def forked(parties: Region) -> bytes:
    """The right old size, and a tree that does not extend it."""
    size = present(parties)[0]
    return asking(b"old %d\n" % size, lambda p: root_text(p, size + 1))(parties)


HASH_LINE = base64_text(b"h" * 32).encode() + b"\n"
WITNESS: list[tuple[str, Make, int]] = [
    ("nothing", lambda parties: b"", 400),
    ("no note", lambda parties: b"old 0\n\n", 400),
    ("no old line", asking(b"", now_text), 400),
    ("old with a sign", asking(b"old +1\n", now_text), 400),
    ("64 hashes", asking(b"old 0\n" + 64 * HASH_LINE, now_text), 400),
    ("old is larger", from_the_future, 400),
    ("extension line", asking(b"old 0\n", lambda parties: now_text(parties) + b"more\n"), 400),
    ("not signed by the log", from_nobody, 403),
    ("another log", asking(b"old 0\n", other_origin), 404),
    ("stale size", asking(b"old 1\n", now_text), 409),
    ("replayed", asking(b"old 0\n", now_text), 409),
    ("another root", forked, 422),
]


@pytest.mark.parametrize(("make", "status"), [pytest.param(*row[1:], id=row[0]) for row in WITNESS])
def test_what_a_witness_does_not_cosign(
    parties: Region, unchanged: None, make: Make, status: int
) -> None:
    """The statuses that C2SP tlog-witness names; a 409 tells the size, as the right type."""
    told = call(parties, "witness-1", "POST", "/add-checkpoint", make(parties))
    check_told(told, status)
    if status == 409:
        assert told.header("content-type").startswith("text/x.tlog.size")
        assert told.body == b"%d\n" % present(parties)[0]


# The log


def token(parties: Region) -> str:
    """The log's."""
    return (parties.folder / "token").read_text()


ADD: list[tuple[str, bytes, bool, int]] = [
    ("no token", b"\0\1x", False, 401),
    ("empty", b"", True, 400),
    ("cut off", b"\0\5abc", True, 400),
    ("half a length", b"\0\1x\0", True, 400),
]


@pytest.mark.parametrize(("body", "known", "status"), [pytest.param(*r[1:], id=r[0]) for r in ADD])
def test_what_the_log_does_not_take(
    parties: Region, unchanged: None, body: bytes, known: bool, status: int
) -> None:
    """Entries without the token, and what is no bundle."""
    headers = {"Authorization": f"Bearer {token(parties)}"} if known else {}
    check_told(call(parties, "log", "POST", "/add", body, **headers), status)


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer x", "bearer {}", "Basic {}", "Bearer {}x", "Bearer {} ", "{}"],
)
def test_only_the_very_token_opens_the_log(parties: Region, unchanged: None, header: str) -> None:
    """Each call that writes wants it, exactly."""
    shown = header.format(token(parties))
    for method, path in (("POST", "/add"), ("POST", "/refresh"), ("PUT", "/list/x")):
        if shown == f"Bearer {token(parties)} ":
            continue  # blanks at a header's end are not part of it (RFC 9110)
        check_told(call(parties, "log", method, path, b"", Authorization=shown), 401)


def test_texts_beside_the_log_are_named_by_their_digest(parties: Region, unchanged: None) -> None:
    """Another name, another kind, a way out of the folder: refused."""
    known = {"Authorization": f"Bearer {token(parties)}"}
    rows = [
        (f"/policy/{digest(b'x')}.cedar", b"y", 400),
        (f"/policy/{digest(b'x')}.toml", b"x", 400),
        (f"/tile/{digest(b'x')}", b"x", 405),
        ("/policy/..%2f..%2fcheckpoint", b"x", 405),
        (f"/list/{digest(b'x')}", b"x", 400),
    ]
    for path, body, status in rows:
        check_told(call(parties, "log", "PUT", path, body, **known), status)


# The vault


def test_entries_that_are_none_of_the_senders(
    parties: Region, unchanged: None, reader: Reader, capsule: Capsule
) -> None:
    """Rubbish, what only the vault says, what a stranger signs, what has no effect."""
    stranger = SigningKey.generate()
    facts: dict[str, Any] = {"region": capsule.header.region, "time": CLOCK.now()}
    forged = RevokeEntry(**facts, role="reader", name=reader.name, reason="no")
    admitted = CapsuleEntry(**facts, capsule=digest(b"never seen"))
    good = parties.leaf(reader, [capsule])
    rows = [
        (b"", 400),
        (b"{}", 400),
        (b"\xff" * 100, 400),
        (b"[" * 60_000, 400),
        (good + b" ", 400),
        (good.replace(b'"sig":"', b'"sig":"AAAA', 1), 400),
        (encode(forged, stranger), 422),
        (encode(admitted, stranger), 403),
    ]
    for body, status in rows:
        check_told(call(parties, "vault", "POST", "/entries", body), status)


def signed(key: SigningKey, method: str, path: str, body: bytes = b"", ahead: int = 0) -> Headers:
    """The header of a signed call."""
    return {"Authorization": sign_call(key, method, path, body, CLOCK.now() + ahead)}


def test_only_who_is_enrolled_and_says_so_now_sees_capsules(
    parties: Region, unchanged: None, reader: Reader, capsule: Capsule
) -> None:
    """No signature, a stranger's, one for another call or body, a stale or future one, a car's."""
    path, key = f"/capsules/{capsule.digest}", reader.signing
    car = SigningKey.load(parties.home.car / "signing.key")
    body = canonical({"capsules": [capsule.digest]})
    plain = {"v": 1, "method": "GET", "path": path, "time": CLOCK.now(), "body": digest(b"")}
    other = seal_envelope(canonical({**plain, "key": base64_text(key.public)}), "text/x", key)
    bad: list[tuple[str, str, bytes, Headers, int]] = [
        ("GET", path, b"", {}, 401),
        ("GET", path, b"", {"Authorization": "DSSE"}, 401),
        ("GET", path, b"", {"Authorization": "DSSE !!!"}, 401),
        ("GET", path, b"", {"Authorization": f"DSSE {base64_text(b'{}')}"}, 401),
        ("GET", path, b"", {"Authorization": f"DSSE {base64_text(other)}"}, 401),
        ("GET", path, b"", signed(SigningKey.generate(), "GET", path), 401),
        ("GET", path, b"", signed(key, "GET", "/capsules"), 401),
        ("GET", path, b"", signed(key, "POST", path), 401),
        ("GET", path + "?a=1", b"", signed(key, "GET", path), 401),
        ("GET", path, b"", signed(key, "GET", path, ahead=-400), 401),
        ("GET", path, b"", signed(key, "GET", path, ahead=400), 401),
        ("POST", "/evidence", body + b" ", signed(key, "POST", "/evidence", body), 401),
        ("GET", path, b"", signed(car, "GET", path), 403),
        ("GET", "/capsules", b"", signed(car, "GET", "/capsules"), 403),
    ]
    for method, target, data, headers, status in bad:
        check_told(call(parties, "vault", method, target, data, **headers), status)
    assert call(parties, "vault", "GET", path, b"", **signed(key, "GET", path)).status == 200


def test_what_the_vault_cannot_find_or_read(
    parties: Region, unchanged: None, reader: Reader, capsule: Capsule
) -> None:
    """Unknown capsules, odd names, odd queries, odd ranges."""
    key, unknown = reader.signing, digest(b"unknown")
    rows = [
        (f"/capsules/{unknown}", 404),
        ("/capsules/x", 400),
        (f"/capsules/{unknown}/receipt", 404),
        ("/capsules?colour=red", 400),
        ("/capsules?count=0", 400),
        ("/capsules?count=1001", 400),
        ("/capsules?start=-1", 400),
        (f"/capsules?start={(1 << 63) - 1}", 400),
        ("/capsules?status=new", 400),
        ("/capsules?tag=a&tag=b", 400),
        *((f"/capsules?since={odd}", 400) for odd in ("x", "", "2026-11-21", "2026-13-21T14")),
        ("/capsules?until=2026-11-21T24", 400),
        ("/capsules?since=2026-11-21T14&until=2026-11-21T13", 400),
        ("/capsules?camera=Front%20left", 400),
        ("/capsules?tag=", 400),
        ("/capsules?purpose=%00", 400),
        ("/capsules?count=0x10", 400),
        ("/capsules?start=1.5", 400),
        *((f"/capsules?after={odd}", 400) for odd in ("x", f"x.{unknown}", f".{unknown[:-2]}")),
        ("/capsules?owner=owner", 400),
    ]
    for path, status in rows:
        check_told(call(parties, "vault", "GET", path, b"", **signed(key, "GET", path)), status)
    path = f"/capsules/{capsule.digest}"
    for odd, status in (("bytes=9999999-", 416), ("bytes=x-", 400)):
        told = call(parties, "vault", "GET", path, b"", Range=odd, **signed(key, "GET", path))
        assert told.status == status
    for body, status in (
        (b"", 400),
        (canonical({"capsules": []}), 400),
        (canonical({"capsules": [unknown] * 129}), 400),
        (canonical({"capsules": [unknown]}), 404),
        (canonical({"capsules": ["x"]}), 400),
    ):
        headers = signed(key, "POST", "/evidence", body)
        check_told(call(parties, "vault", "POST", "/evidence", body, **headers), status)


def test_capsules_that_are_not_welcome(parties: Region, unchanged: None, capsule: Capsule) -> None:
    """Rubbish, cut off, too long, altered, from a car nobody knows; nothing of them is kept."""
    good = capsule.path.read_bytes()
    stranger = parties.seal(b"clip", car=SigningKey.generate()).read_bytes()
    fresh = parties.seal(b"another clip").read_bytes()
    altered = fresh[:-1] + bytes([fresh[-1] ^ 1])
    rows = [
        (b"", 400),
        (b"GIF89a" + b"x" * 1000, 400),
        (good[:40], 400),
        (fresh[:-1], 400),
        (fresh + b"x", 413),
        (altered, 422),
        (stranger, 403),
        (good.replace(b'"sig":"', b'"sig":"A', 1)[: len(good)], 400),
    ]
    for body, status in rows:
        check_told(call(parties, "vault", "POST", "/capsules", body), status)
    assert not list((parties.home.vault / "incoming").iterdir())


def test_lists_and_policies_come_from_who_may_say_them(
    parties: Region, unchanged: None, reader: Reader
) -> None:
    """A list only from the enrolled, a policy only from the operator, each under its digest."""
    text = b"permit(principal, action, resource);"
    policy = f"/policy/{digest(text)}.cedar"
    listed = f"{digest(b'a')}\n".encode()
    path, odd = f"/list/{digest(listed)}", f"/list/{digest(b'x')}"
    rows = [
        (path, listed, {}, 401),
        (path, listed, signed(SigningKey.generate(), "PUT", path, listed), 401),
        (path, listed, signed(reader.signing, "PUT", path, b"other"), 401),
        (odd, b"x", signed(reader.signing, "PUT", odd, b"x"), 400),
        (policy, text, signed(reader.signing, "PUT", policy, text), 403),
    ]  # fmt: skip
    for target, body, headers, status in rows:
        check_told(call(parties, "vault", "PUT", target, body, **headers), status)


# The trustee


def test_requests_that_no_trustee_grants(parties: Region, reader: Reader, capsule: Capsule) -> None:
    """Malformed, not logged, proven by a forged path, stale, for another recipient."""
    name = parties.names[0]
    leaf = parties.leaf(reader, [capsule])
    index = parties.submit(leaf)
    asked = json.loads(parties.shown(name, leaf, index, [capsule]))
    other = parties.leaf(reader, [capsule])  # never logged

    def change(**what: Any) -> bytes:
        return canonical({**asked, **what})

    rows: list[tuple[bytes, int]] = [
        (b"", 400),
        (b"{}", 400),
        (b"[" * 100_000, 400),
        (json.dumps(asked, indent=1).encode(), 400),
        (change(v=2), 400),
        (change(index=-1), 400),
        (change(capsules=[]), 400),
        (change(capsules=asked["capsules"] * 2), 400),
        (change(proof=[base64_text(b"h" * 32)] * 64), 400),
        (change(leaf=base64_text(b"x")), 400),
        (change(note=base64_text(b"x")), 422),
        (change(index=index - 1), 422),
        (change(proof=asked["proof"][:-1]), 422),
        (change(leaf=base64_text(other)), 422),
    ]
    before = parties.state().size
    for body, status in rows:
        check_told(call(parties, name, "POST", "/decide", body), status)
    assert parties.state().size == before
    assert call(parties, name, "POST", "/decide", canonical(asked)).status == 200


def test_what_accuses_nobody(parties: Region, unchanged: None) -> None:
    """Rubbish, and two notes that do not contradict each other: the trustee does not freeze."""
    name = parties.names[0]
    note = base64_text((parties.home.public / "checkpoint").read_bytes())
    same = canonical({"v": 1, "seen": 1, "ours": note, "theirs": note})
    parse_evidence(same, "well formed")
    for body, status in ((b"", 400), (b"{}", 400), (same, 422)):
        check_told(call(parties, name, "POST", "/accuse", body), status)
    told = call(parties, name, "GET", "/status")
    assert json.loads(told.body)["frozen"] is False
    check_told(call(parties, name, "GET", "/evidence/../signing.key"), 404)


# Once more


def test_the_same_again_has_the_same_answer_and_changes_nothing(
    parties: Region, reader: Reader, capsule: Capsule
) -> None:
    """Replayed by whoever saw it, one by one or all at once: entries, uploads, requests, adds."""
    name = parties.names[1]
    leaf = parties.leaf(reader, [capsule])
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: call(parties, "vault", "POST", "/entries", leaf), range(8))
        )
    assert len({(each.status, each.body) for each in answers}) == 1
    index = json.loads(answers[0].body)["index"]
    asked = parties.shown(name, leaf, index, [capsule])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: call(parties, name, "POST", "/decide", asked), range(4)))
    assert {each.status for each in found} == {200}
    size = parties.state().size
    body = capsule.path.read_bytes()
    for _ in range(2):
        assert call(parties, "vault", "POST", "/entries", leaf).status == 201
        assert call(parties, name, "POST", "/decide", asked).status == 200
        assert call(parties, "vault", "POST", "/capsules", body).status == 201
        known = {"Authorization": f"Bearer {token(parties)}"}
        told = call(parties, "log", "POST", "/add", len(leaf).to_bytes(2, "big") + leaf, **known)
        assert json.loads(told.body)["first"] == index
    state = parties.state()
    assert state.size == size
    assert len([each for each in state.grants() if each.index > index]) == 1


# Slow and many


def drip(parties: Region, name: str, head: bytes) -> tuple[float, bytes]:
    """Send ``head``, then a byte a second; when the server had enough, and what it said."""
    host, port = parties.urls[name].split("//")[1].split(":")
    begin, found = time.monotonic(), b""
    with socket.create_connection((host, int(port)), timeout=1) as slow:
        with contextlib.suppress(OSError):
            slow.sendall(head)
            while not found and time.monotonic() - begin < 40:
                slow.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    found = slow.recv(10_000) or b"closed"
        with contextlib.suppress(OSError):
            found += slow.recv(10_000)
    return time.monotonic() - begin, found.removeprefix(b"closed")


def test_a_slow_head_and_a_slow_body_are_given_up(parties: Region, unchanged: None) -> None:
    """Each is cut within its time; others are served meanwhile."""
    head = b"POST /entries HTTP/1.1\r\nHost: x\r\n"
    with ThreadPoolExecutor(3) as pool:
        slow_head = pool.submit(drip, parties, "vault", head)
        body = pool.submit(drip, parties, "vault", head + b"Content-Length: 1000\r\n\r\n")
        mute = pool.submit(drip, parties, "witness-1", b"")
        assert call(parties, "vault", "GET", "/region").status == 200
        took, found = slow_head.result()
        assert (8 < took < 14, found) == (True, b"")
        took, found = body.result()
        assert 13 < took < 20
        check_told(Told(found), 408)
        assert mute.result()[0] < 14


def test_the_log_is_served_as_tlog_tiles_says(parties: Region) -> None:
    """Types and cache headers of checkpoint and tiles; nothing says who serves."""
    told = call(parties, "log", "GET", "/checkpoint")
    assert told.header("content-type") == "text/plain; charset=utf-8"
    assert told.header("cache-control") == "no-cache"
    size = present(parties)[0]
    told = call(parties, "log", "GET", f"/tile/0/000.p/{size}")
    assert told.header("content-type") == "application/octet-stream"
    assert "immutable" in told.header("cache-control")
    assert told.header("server") == ""
    assert call(parties, "log", "GET", "/tile/entries/999").status == 404
    hidden = parties.home.public / ".secret"
    hidden.write_text("x")
    link = parties.home.public / "link"
    link.symlink_to("/etc/passwd")
    try:
        for path in ("/.secret", "/link", "/tile"):
            assert call(parties, "log", "GET", path).status == 404
    finally:
        hidden.unlink()
        link.unlink()
