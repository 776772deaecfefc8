# SPDX-License-Identifier: Apache-2.0
"""The vectors that we publish: made again byte for byte, and judged as their index says."""

from __future__ import annotations

import asyncio
import base64
import filecmp
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from incamera.clock import FixedClock
from incamera.errors import InputError, IntegrityError
from incamera.ids import digest
from incamera.ledger.codec import decode
from incamera.ledger.evidence import check_fork, parse_evidence
from incamera.ledger.request import GrantRequest
from incamera.sealing.header import open_header
from incamera.service.witness import witness_app
from incamera.tlog import Policy, Proof, Witness, merkle, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import Cosigner, Verifier, open_note
from world_tlog import START, ed25519_key

PUBLISHED = Path(__file__).parents[2] / "vectors"
ROWS: list[dict[str, Any]] = json.loads((PUBLISHED / "index.json").read_text())["vectors"]
MADE_FROM = {"README.md", "make.py", "making", "ruff.toml", "__pycache__"}


def b64(text: str) -> bytes:
    """Bytes from base64."""
    return base64.b64decode(text, validate=True)


@cache
def policy_at(file: str) -> Policy:
    """The policy of a vector."""
    return Policy.parse((PUBLISHED / file).read_bytes())


def read_note(data: bytes, row: dict[str, Any]) -> None:
    """Opens under its keys."""
    open_note(data, [Verifier.parse(each) for each in row["vkeys"]])


def read_vkey(data: bytes, _: dict[str, Any]) -> None:
    """Parses, and prints as it was."""
    assert Verifier.parse(data.decode()).vkey.encode() == data


def read_checkpoint(data: bytes, _: dict[str, Any]) -> None:
    """Parses, and prints as it was."""
    assert Checkpoint.parse(data).text == data


def read_witnessed(data: bytes, row: dict[str, Any]) -> None:
    """Counts under its policy."""
    policy_at(row["policy"]).check(data)


def read_policy(data: bytes, row: dict[str, Any]) -> None:
    """Parses, and makes of each set of witnesses what the row says."""
    policy = Policy.parse(data)
    assert all(policy.quorum_met(each) for each in row["met"])
    assert not any(policy.quorum_met(each) for each in row["unmet"])


def read_path(data: bytes, row: dict[str, Any]) -> None:
    """Is the path of that tile."""
    if (found := tile.parse_path(data.decode())) is None:
        raise InputError("not a tile path")
    level = tile.ENTRIES if row["level"] == "entries" else row["level"]
    assert found == tile.TileName(level, row["index"], row["width"])


def read_tile(data: bytes, row: dict[str, Any]) -> None:
    """Has the hashes that make the root."""
    if merkle.root(tile.split_hashes(data, row["width"], "tile")) != b64(row["root"]):
        raise IntegrityError("another root")


def read_bundle(data: bytes, row: dict[str, Any]) -> None:
    """Has the entries of the leaf hashes."""
    found = [merkle.leaf_hash(each) for each in tile.decode_bundle(data, "bundle")]
    if found != [b64(each) for each in row["leaves"]]:
        raise IntegrityError("other entries")


def read_inclusion(data: bytes, _: dict[str, Any]) -> None:
    """Leads from the leaf to the root."""
    case = json.loads(data)
    proof = [b64(each) for each in case["proof"]]
    leaf, root = b64(case["leaf"]), b64(case["root"])
    merkle.verify_inclusion(case["index"], case["size"], leaf, proof, root)


def read_consistency(data: bytes, _: dict[str, Any]) -> None:
    """Leads from the old root to the new."""
    case = json.loads(data)
    proof = [b64(each) for each in case["proof"]]
    roots = b64(case["old_root"]), b64(case["new_root"])
    merkle.verify_consistency(case["old"], case["new"], *roots, proof)


def read_proof(data: bytes, row: dict[str, Any]) -> None:
    """Shows that the entry is in a witnessed log."""
    Proof.parse(data).verify(b64(row["entry"]), policy_at(row["policy"]))


def read_entry(data: bytes, row: dict[str, Any]) -> None:
    """Is an entry that the key signed."""
    decode(data, "vector").envelope.verify(b64(row["key"]))


def read_header(data: bytes, _: dict[str, Any]) -> None:
    """Is a header that its car signed."""
    open_header(data, "vector")


def read_request(data: bytes, row: dict[str, Any]) -> None:
    """Shows a leaf that is in a witnessed log."""
    request = GrantRequest.parse(data)
    proof = Proof(request.index, request.proof, request.note)
    proof.verify(request.leaf, policy_at(row["policy"]))


def read_evidence(data: bytes, row: dict[str, Any]) -> None:
    """Convicts a log of the policy."""
    check_fork(*parse_evidence(data, "vector"), policy_at(row["policy"]))


READERS: dict[str, Callable[[bytes, dict[str, Any]], None]] = {
    "notes": read_note,
    "vkeys": read_vkey,
    "checkpoints": read_checkpoint,
    "witnessed": read_witnessed,
    "policies": read_policy,
    "paths": read_path,
    "tiles": read_tile,
    "bundles": read_bundle,
    "inclusion": read_inclusion,
    "consistency": read_consistency,
    "proofs": read_proof,
    "entries": read_entry,
    "headers": read_header,
    "requests": read_request,
    "evidence": read_evidence,
}
JUDGED = [row for row in ROWS if not row["file"].startswith("add-checkpoint/")]
ASKED = [row for row in ROWS if row["file"].startswith("add-checkpoint/")]


@pytest.mark.parametrize("row", JUDGED, ids=lambda row: row["file"])
def test_a_vector_is_judged_as_the_index_says(row: dict[str, Any]) -> None:
    """What must be accepted is; what must be refused is, with one of our errors."""
    data = (PUBLISHED / row["file"]).read_bytes()
    read = READERS[row["file"].split("/")[0]]
    if row["verdict"] == "accept":
        read(data, row)
    else:
        with pytest.raises((InputError, IntegrityError)):
            read(data, row)


@pytest.mark.parametrize("row", ASKED, ids=lambda row: row["file"])
def test_a_witness_answers_with_the_status_of_the_index(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    """A witness that cosigned the size ``before`` answers the body with ``status``."""
    log = Verifier.parse(row["log"])
    cosigner = Cosigner("witness.example/w", ed25519_key("w"))
    witness = Witness(tmp_path, cosigner, {log.name: log}, FixedClock(START))
    if row["before"]:
        first = (PUBLISHED / f"add-checkpoint/to-{row['before']}").read_bytes()
        assert witness.add_checkpoint(first)[0] == 200
    shown = witness.published(log.name)
    status, answer = witness.add_checkpoint((PUBLISHED / row["file"]).read_bytes())
    assert status == row["status"], answer
    assert answer.decode() == row.get("answer", answer.decode())
    if status != 200:
        assert witness.published(log.name) == shown


async def ask(app: Starlette, method: str, path: str, body: bytes = b"") -> httpx.Response:
    """One call of a server, without a network."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://witness") as client:
        return await client.request(method, path, content=body)


def test_a_served_witness_answers_with_the_types_of_the_specification(tmp_path: Path) -> None:
    """409 comes as ``text/x.tlog.size``, bare: Tessera and sigsum compare the whole header."""
    log = Verifier.parse(ASKED[0]["log"])
    cosigner = Cosigner("witness.example/w", ed25519_key("w"))
    app = witness_app(Witness(tmp_path, cosigner, {log.name: log}, FixedClock(START)), [log.name])
    monitoring = f"/{digest(log.name.encode())}/checkpoint"
    assert asyncio.run(ask(app, "GET", monitoring)).status_code == 404
    told = {}
    for name in ("to-5", "stale", "fork", "old-above-size", "unknown-key", "unknown-origin"):
        body = (PUBLISHED / "add-checkpoint" / name).read_bytes()
        answer = asyncio.run(ask(app, "POST", "/add-checkpoint", body))
        told[answer.status_code] = answer.headers["content-type"]
    plain = "text/plain; charset=utf-8"
    others = dict.fromkeys((200, 400, 403, 404, 422), plain)
    assert told == {409: "text/x.tlog.size"} | others
    shown = asyncio.run(ask(app, "GET", monitoring))
    assert shown.headers["content-type"] == plain
    assert open_note(shown.content, [log]).text.startswith(b"log.example/eu\n5\n")


def test_the_vectors_are_made_again_byte_for_byte(tmp_path: Path) -> None:
    """The script gives what is published, and nothing else is published."""
    subprocess.run([sys.executable, "-B", PUBLISHED / "make.py", tmp_path], check=True)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    files = {path.relative_to(PUBLISHED) for path in PUBLISHED.rglob("*") if path.is_file()}
    shown = {each for each in files if each.parts[0] not in MADE_FROM}
    assert {each for each in shown if not each.parts[0].startswith(".")} == made
    names = [str(each) for each in made]
    assert filecmp.cmpfiles(tmp_path, PUBLISHED, names, shallow=False)[1:] == ([], [])


def test_every_vector_has_its_own_failure() -> None:
    """No file stands twice, every kind has good and bad ones, and each says why."""
    assert len({row["file"] for row in ROWS}) == len(ROWS) > 250
    for kind in {row["file"].split("/")[0] for row in ROWS}:
        verdicts = {row["verdict"] for row in ROWS if row["file"].startswith(f"{kind}/")}
        assert verdicts == {"accept", "refuse"}, kind
    assert all(row["reason"] for row in ROWS)
