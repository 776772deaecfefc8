# SPDX-License-Identifier: Apache-2.0
"""What a served vault says of itself, what operators may ask, and how little it lets be sent."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from incamera.ids import digest
from incamera.ledger.extract import Extract, open_statement
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import SigningKey
from incamera.service.schemas import ExtractSaid
from incamera.wire import BusyError, RefusedError
from serving import Region, free_ports, region
from world import quick_folder

TOKEN = secrets.token_hex(32)


@pytest.fixture(scope="module")
def parties() -> Iterator[Region]:
    """All eight; the vault has a desk for operators, and lets a car send three capsules an hour."""
    with quick_folder() as folder, region(folder) as made:
        certify(folder)
        vault = made.parties["vault"]
        vault.stop()
        tokens = folder / "tokens"
        tokens.write_text(f"{hashlib.sha256(TOKEN.encode()).hexdigest()}  # night shift\n")
        tokens.chmod(0o600)
        made.urls["desk"] = f"https://127.0.0.1:{free_ports(1)[0]}"
        more = f'[operator]\ntokens = "tokens"\nlisten = "{made.urls["desk"].split("//")[1]}"\n'
        more += 'certificate = "desk.pem"\nkey = "desk.key"\nca = "ca.pem"\n'
        more += "[limits]\ncapsules_per_hour = 3\ntexts_per_hour = 2\n[log]"
        vault.config.write_text(vault.config.read_text().replace("[log]", more, 1))
        vault.start()
        yield made


def certify(folder: Path) -> None:
    """An authority, the desk's certificate, an operator's, and a stranger's of another one."""
    for ca, names in (("ca", ("desk", "operator")), ("other", ("stranger",))):
        new = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2"]
        made = ["-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem"]
        subprocess.run([*new, *made], cwd=folder, check=True, capture_output=True)
        for name in names:
            made = ["-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-subj", f"/CN={name}"]
            made += ["-addext", "subjectAltName=IP:127.0.0.1"]
            made += ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
            subprocess.run([*new, *made], cwd=folder, check=True, capture_output=True)


def call(
    parties: Region, method: str, path: str, *, to: str = "vault", body: bytes = b"", **head: str
) -> tuple[int, dict[str, str], bytes]:
    """One call as it is: status, headers, body."""
    host, port = parties.urls[to].split("//")[1].split(":")
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in head.items()]
    lines.append(f"Content-Length: {len(body)}")
    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        data = b"".join(iter(lambda: link.recv(65_536), b""))
    top, _, found = data.partition(b"\r\n\r\n")
    first, *rest = top.decode("latin-1").split("\r\n")
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}
    return int(first.split(" ")[1]), headers, found


def operator(parties: Region, method: str, path: str, body: bytes = b"") -> Any:
    """As an operator, by token; JSON, text or nothing."""
    told = call(parties, method, path, body=body, Authorization=f"Bearer {TOKEN}")
    assert told[0] in (200, 204), told
    is_json = told[1].get("content-type", "") == "application/json"
    return json.loads(told[2]) if is_json else told[2].decode()


def test_each_party_says_that_it_lives_is_ready_and_what_it_counts(parties: Region) -> None:
    """With the same three paths; numbers by route and status, and no name of anybody."""
    for name in ("vault", "log", "witness-1", "trustee-de"):
        assert call(parties, "GET", "/healthz", to=name)[::2] == (200, b"ok\n")
        status, _, body = call(parties, "GET", "/readyz", to=name)
        assert (status, json.loads(body)["ready"]) == (200, True), body
        status, headers, body = call(parties, "GET", "/metrics", to=name)
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        line = 'incamera_calls_total{method="GET",route="/healthz",status="200"} 1.0'
        assert line in body.decode()
    assert "incamera_log_entries " in call(parties, "GET", "/metrics", to="log")[2].decode()


def test_a_vault_whose_log_is_away_lives_and_is_not_ready(parties: Region) -> None:
    """503, with which of its needs does not answer; ready again when that does."""
    parties.parties["log"].kill()
    time.sleep(1.1)  # what was found is told for a second
    status, headers, body = call(parties, "GET", "/readyz")
    assert status == 503
    assert headers["retry-after"]
    assert json.loads(body)["checks"]["log"] == "unavailable"
    assert call(parties, "GET", "/healthz")[0] == 200
    parties.parties["log"].start()
    time.sleep(1.1)
    assert call(parties, "GET", "/readyz")[0] == 200


def test_the_openapi_is_the_one_in_the_documentation(parties: Region) -> None:
    """Served and committed are the same; no page of it comes from elsewhere.

    With ``INCAMERA_OPENAPI=write`` the page is written anew.
    """
    served = json.loads(call(parties, "GET", "/openapi.json")[2])
    page = Path(__file__).parents[2] / "docs" / "openapi" / "vault.json"
    if os.environ.get("INCAMERA_OPENAPI") == "write":
        page.write_text(json.dumps(served, indent=1, ensure_ascii=False) + "\n")
    assert served == json.loads(page.read_text()), "run this with INCAMERA_OPENAPI=write"
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        assert call(parties, "GET", path)[0] == 404


def test_operators_come_by_token_or_certificate_and_nobody_else(parties: Region) -> None:
    """No token, another, one that was taken out; no certificate, one of another authority."""
    told = operator(parties, "GET", "/operator/status")
    assert told["entries"] > 0
    headers: list[dict[str, Any]] = [
        {},
        {"Authorization": f"Bearer {TOKEN[:-1]}x"},
        {"Authorization": "Bearer "},
    ]
    for header in headers:
        assert call(parties, "GET", "/operator/status", **header)[0] == 401
    reader = parties.enrol("acme", "company", "DE")
    with pytest.raises(RefusedError, match="see-status"):
        parties.client("vault", reader.signing).get("operator/status", limit=1000)
    assert by_certificate(parties, "operator") == 200
    for name in ("stranger", None):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            by_certificate(parties, name)
    tokens = parties.folder / "tokens"
    kept = tokens.read_text()
    tokens.write_text("# nobody\n")
    assert call(parties, "GET", "/operator/status", Authorization=f"Bearer {TOKEN}")[0] == 401
    tokens.write_text(kept)


def by_certificate(parties: Region, name: str | None) -> int:
    """The status of ``/operator/status`` at the operators' own address."""
    host, port = parties.urls["desk"].split("//")[1].split(":")
    context = ssl.create_default_context(cafile=str(parties.folder / "ca.pem"))
    if name is not None:
        context.load_cert_chain(parties.folder / f"{name}.pem", parties.folder / f"{name}.key")
    with (
        socket.create_connection((host, int(port)), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=host) as link,
    ):
        link.sendall(b"GET /operator/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = link.recv(1000)
    if not answer:
        raise ConnectionResetError
    return int(answer.split(b" ")[1])


def test_an_exclusion_set_by_an_operator_rules_from_then_on(parties: Region) -> None:
    """The list is kept whole or not at all; what changed it is one line, by digest."""
    text = b"vehicle car-1  # sold\n"
    operator(parties, "PUT", "/operator/exclusions", text)
    assert operator(parties, "GET", "/operator/exclusions") == text.decode()
    with pytest.raises(RefusedError, match="excluded"):
        parties.upload(parties.seal(b"a clip"))
    bad = call(
        parties, "PUT", "/operator/exclusions", body=b"everybody\n", Authorization=f"Bearer {TOKEN}"
    )
    assert bad[0] == 400
    assert operator(parties, "GET", "/operator/exclusions") == text.decode()
    operator(parties, "PUT", "/operator/exclusions", b"")
    lines = map(json.loads, parties.parties["vault"].log().splitlines())
    said = [each for each in lines if each["event"] == "exclusions set"]
    assert [each["sha256"] for each in said] == [digest(text), digest(b"")]
    assert {each["by"] for each in said} == {"token"}
    assert operator(parties, "POST", "/operator/sweep") == {"v": 1, "orphans": 0, "announced": 0}


def test_an_extract_is_served_to_anybody_who_asks_rightly(parties: Region) -> None:
    """The founding, for a car that is enrolled or not; each parameter once, and nothing else."""
    status, _, body = call(parties, "GET", "/extract?car=nobody&owner=nobody&since=0")
    assert status == 200
    ExtractSaid.model_validate_json(body)
    extract = Extract.parse(body, "extract")
    statement, envelope = open_statement(extract.statement, "extract")
    envelope.verify(SigningKey.load(parties.home.vault / "signing.key").public)
    assert statement.indices[0] == 0
    for query in (
        *("", "car=a&owner=b", "car=a&owner=b&since=-1", "car=a&owner=b&since=1&more=2"),
        *("car=a&owner=b&since=0&since=0", "car=A%20b&owner=b&since=0", "car=&owner=b&since=0"),
    ):
        assert call(parties, "GET", f"/extract?{query}")[0] == 400, query
    assert call(parties, "GET", "/extract?car=a&owner=b&since=999999")[0] == 503


def test_head_is_answered_where_get_is(parties: Region) -> None:
    """The same headers, and no body."""
    for path in ("/region", "/healthz", "/openapi.json"):
        status, headers, body = call(parties, "HEAD", path)
        assert (status, body) == (200, b"")
        assert int(headers["content-length"]) > 0
    assert call(parties, "HEAD", "/capsules")[0] == 401


def test_a_wrong_method_is_told_all_that_there_are(parties: Region) -> None:
    """Of every route at that path."""
    for path, allowed in (("/capsules", "GET, HEAD, POST"), ("/uploads", "OPTIONS, POST")):
        status, headers, body = call(parties, "DELETE", path)
        assert (status, headers["allow"]) == (405, allowed)
        assert json.loads(body)["status"] == 405


CHUNKS = b"Host: x\r\nTransfer-Encoding: chunked\r\n"
LENGTH = b"Host: x\r\nContent-Length: 5\r\n"
GARBAGE = [
    b"POST %s HTTP/1.1\r\n" + CHUNKS + b"%s\r\nzzzz\r\nnot a chunk\r\n",
    b"POST %s HTTP/1.1\r\n" + CHUNKS + b"%s\r\n5\r\nabcdefghij\r\n",
    b"POST %s HTTP/1.1\r\n" + LENGTH + b"%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"\x16\x03\x01%s%s\x02\x00\x01\x00",
]


@pytest.mark.parametrize(("name", "path"), [("log", "/add"), ("vault", "/capsules")])
def test_garbage_is_a_problem_and_no_fault(parties: Region, name: str, path: str) -> None:
    """Chunks that are none, two lengths, TLS: 400, a problem document, and no line of a fault."""
    token = (parties.folder / "token").read_bytes()
    host, port = parties.urls[name].split("//")[1].split(":")
    before = len(parties.parties[name].log().splitlines())
    for data in GARBAGE:
        with socket.create_connection((host, int(port)), timeout=20) as link:
            link.sendall(data % (path.encode(), b"Authorization: Bearer %s\r\n" % token))
            answer = b"".join(iter(lambda link=link: link.recv(65_536), b""))  # type: ignore[misc]
        assert b" 400 " in answer.split(b"\r\n")[0], answer
        assert b"application/problem+json" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 400
    lines = map(json.loads, parties.parties[name].log().splitlines()[before:])
    assert {each["event"] for each in lines} <= {"call"}


def test_another_car_cannot_be_flooded_and_one_cannot_flood(parties: Region) -> None:
    """Three an hour here (one was refused above): then 429, and how long to wait.

    Somebody not enrolled is refused after the header, before any byte of the rest is read.
    """
    with pytest.raises(BusyError) as caught:
        flood(parties, 4)
    assert 0 < caught.value.after <= 7200  # the rest of this hour, and what of it still counts
    stranger = parties.seal(bytes(200_000), car=SigningKey.generate())
    head = stranger.read_bytes()[: read_capsule(stranger).payload_offset]
    host, port = parties.urls["vault"].split("//")[1].split(":")
    size = stranger.stat().st_size
    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall(b"POST /capsules HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        link.sendall(head)
        answer = b"".join(iter(lambda: link.recv(10_000), b""))
    assert b" 403 " in answer
    assert b"unenrolled" in answer


def flood(parties: Region, count: int) -> None:
    """So many capsules, one after the other."""
    for _ in range(count):
        parties.upload(parties.seal(b"a clip"), attempts=1)


def test_a_party_puts_so_many_texts_beside_the_log(parties: Region) -> None:
    """An enrolled one too: 429 from then on."""
    reader = parties.enrol("lists", "research", "DE")
    client = parties.client("vault", reader.signing, attempts=1)
    data = [f"{digest(bytes([n]))}\n".encode() for n in range(3)]
    for each in data[:2]:
        client.send("PUT", f"list/{digest(each)}", each, limit=1000)
    with pytest.raises(BusyError, match="texts"):
        client.send("PUT", f"list/{digest(data[2])}", data[2], limit=1000)


def test_no_line_of_it_names_anybody(parties: Region) -> None:
    """Of a whole journey: no pseudonym, key, digest of an owner or car, address, or token."""
    home = parties.home
    keys = [SigningKey.load(each) for each in (home.car / "signing.key", home.operator)]
    never = ["car-1", "acme", "night shift", TOKEN]
    never += [key.public.hex() for key in keys] + [digest(key.public) for key in keys]
    for party in parties.parties.values():
        for line in party.log().splitlines():
            said = json.loads(line)
            assert said["event"] != "fault", said
            assert not [each for each in never if each in line], line
            said.pop("said", "")  # of another party, by its address
            assert "127.0.0.1" not in json.dumps(said)
    shown = call(parties, "GET", "/metrics")[2].decode()
    assert not [each for each in never if each in shown]
    assert 'incamera_refused_total{code="excluded"} 1.0' in shown
    assert "incamera_admitted_total" in shown
