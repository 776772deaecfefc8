# SPDX-License-Identifier: Apache-2.0
"""The witness protocol, status by status."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from incamera.clock import FixedClock
from incamera.errors import IntegrityError
from incamera.tlog import merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import Cosigner, Signer, open_note, sign
from incamera.tlog.witness import Witness
from world_tlog import ed25519_key

LOG = Signer("log.example", ed25519_key("log"))
KEY = Cosigner("w.example", ed25519_key("w"))
LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(20)]
OTHER = [merkle.leaf_hash(b"fork"), *LEAVES[1:]]


def get(level: int, index: int) -> bytes:
    """Any complete subtree of the honest tree."""
    return merkle.root(LEAVES[index << level : index + 1 << level])


def note(size: int, leaves: list[bytes] = LEAVES, signer: Signer = LOG) -> bytes:
    """A checkpoint of the first ``size`` leaves, signed."""
    tree = Checkpoint(signer.name, size, merkle.root(leaves[:size]))
    return sign(tree.text, [signer])


def body(
    old: int, size: int, *, signed: bytes | None = None, proof: list[bytes] | None = None
) -> bytes:
    """A request, by default the honest one."""
    hashes = merkle.consistency_proof(old, size, get) if proof is None else proof
    lines = "".join(base64.b64encode(each).decode() + "\n" for each in hashes)
    return f"old {old}\n{lines}\n".encode() + (note(size) if signed is None else signed)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    """A witness that knows one log and has seen nothing."""
    return Witness(tmp_path, KEY, {"log.example": LOG.verifier}, FixedClock(1000))


def test_growth_is_cosigned(witness: Witness) -> None:
    """Each extension gets one line of this witness that verifies and carries the time."""
    for old, size in ((0, 0), (0, 1), (1, 7), (7, 8), (8, 8), (8, 20)):
        status, line = witness.add_checkpoint(body(old, size))
        assert status == 200
        tree = Checkpoint("log.example", size, merkle.root(LEAVES[:size]))
        [signature] = open_note(tree.text + b"\n" + line, [KEY.verifier]).verified
        assert signature.timestamp == 1000


def test_the_published_checkpoint_has_both_signatures(witness: Witness) -> None:
    """Monitors get the last cosigned checkpoint, signed by the log and by us, and nothing else."""
    assert witness.published("log.example") is None
    stranger = Signer("stranger", ed25519_key("s"))
    signed = note(5) + sign(note(5).split(b"\n\n")[0] + b"\n", [stranger]).split(b"\n\n")[1]
    assert witness.add_checkpoint(body(0, 5, signed=signed))[0] == 200
    published = witness.published("log.example")
    assert published is not None
    opened = open_note(published, [LOG.verifier, KEY.verifier])
    assert len(opened.verified) == 2
    assert not opened.unknown


def test_409_tells_the_size(witness: Witness) -> None:
    """A wrong old size is answered with the size this witness cosigned last."""
    assert witness.add_checkpoint(body(3, 5)) == (409, b"0\n")
    witness.add_checkpoint(body(0, 5))
    assert witness.add_checkpoint(body(0, 5)) == (409, b"5\n")
    assert witness.add_checkpoint(body(0, 9)) == (409, b"5\n")
    assert witness.add_checkpoint(body(3, 4)) == (409, b"5\n")


ROOT = merkle.leaf_hash(b"")


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (400, b""),
        (400, b"nonsense"),
        (400, body(0, 5)[:-1]),
        (400, b"old 00" + body(0, 5)[5:]),
        (400, b"old +0" + body(0, 5)[5:]),
        (400, b"old 9223372036854775808" + body(0, 5)[5:]),
        (400, b"old  0" + body(0, 5)[5:]),
        (400, b"Old 0" + body(0, 5)[5:]),
        (400, "old \uff10".encode() + body(0, 5)[5:]),
        (400, b"old 0\n" + b"A" * 43 + b"=\n" * 2 + b"\n" + note(5)),
        (400, body(0, 5, proof=[ROOT] * 64)),
        (400, body(6, 5, proof=[])),
        (400, body(0, 5, signed=sign(b"log.example\n5\nx\n", [LOG]))),
        (400, body(0, 5, signed=sign(note(5).split(b"\n\n")[0] + b"\next\n", [LOG]))),
        (400, b"x" * (1 << 20) + body(0, 5)),
        (403, body(0, 5, signed=note(5, signer=Signer("log.example", ed25519_key("mallory"))))),
        (403, body(0, 5, signed=note(5).replace(b"\n5\n", b"\n6\n"))),
        (404, body(0, 5, signed=note(5, signer=Signer("who.example", ed25519_key("log"))))),
        (422, body(0, 5, proof=[ROOT])),
        (422, body(0, 0, signed=sign(Checkpoint("log.example", 0, ROOT).text, [LOG]))),
    ],
)
def test_refusals_before_any_state(witness: Witness, status: int, data: bytes) -> None:
    """Malformed, unsigned, unknown and inconsistent requests get their status and no line."""
    answer = witness.add_checkpoint(data)
    assert answer[0] == status, answer
    assert "—".encode() not in answer[1]
    assert witness.published("log.example") is None


def test_inconsistent_growth_is_refused(witness: Witness) -> None:
    """A tree that does not extend the last one, or a proof that lies, is never cosigned."""
    witness.add_checkpoint(body(0, 7))
    assert witness.add_checkpoint(body(7, 20, signed=note(20, OTHER)))[0] == 422
    assert witness.add_checkpoint(body(7, 20, proof=[]))[0] == 422
    assert witness.add_checkpoint(body(7, 20, proof=[ROOT] * 63))[0] == 422
    assert witness.add_checkpoint(body(7, 7, proof=[ROOT]))[0] == 422
    assert witness.add_checkpoint(body(7, 20))[0] == 200


@pytest.mark.parametrize("old", [0, 7])
def test_equivocation_is_kept_as_evidence(witness: Witness, tmp_path: Path, old: int) -> None:
    """Two signed roots for one size: refused, and both notes are kept, whatever old says."""
    witness.add_checkpoint(body(0, 7))
    status, _ = witness.add_checkpoint(body(old, 7, signed=note(7, OTHER), proof=[]))
    assert status == (422 if old == 7 else 409)
    kept = [path.read_bytes() for path in tmp_path.glob("*/conflict/*")]
    roots = {Checkpoint.parse(each.split(b"\n\n")[0] + b"\n").root for each in kept}
    assert roots == {merkle.root(LEAVES[:7]), merkle.root(OTHER[:7])}
    for each in kept:
        open_note(each, [LOG.verifier])


def test_state_survives_a_restart(witness: Witness, tmp_path: Path) -> None:
    """What was cosigned is remembered by the next process."""
    witness.add_checkpoint(body(0, 7))
    again = Witness(tmp_path, KEY, {"log.example": LOG.verifier}, FixedClock(2000))
    assert again.add_checkpoint(body(0, 20)) == (409, b"7\n")
    assert again.add_checkpoint(body(7, 20))[0] == 200


def test_damaged_state_stops_the_witness(witness: Witness, tmp_path: Path) -> None:
    """A witness that cannot trust its memory does not sign."""
    witness.add_checkpoint(body(0, 7))
    [path] = tmp_path.glob("*/checkpoint")
    path.write_bytes(path.read_bytes().replace(b"\n7\n", b"\n3\n"))
    with pytest.raises(IntegrityError):
        witness.add_checkpoint(body(7, 20))


def test_two_logs_do_not_mix(tmp_path: Path) -> None:
    """Each origin has its own state and its own key."""
    second = Signer("second.example", ed25519_key("second"))
    logs = {"log.example": LOG.verifier, "second.example": second.verifier}
    both = Witness(tmp_path, KEY, logs, FixedClock(1000))
    assert both.add_checkpoint(body(0, 7))[0] == 200
    assert both.add_checkpoint(body(0, 3, signed=note(3, signer=second)))[0] == 200
    assert both.add_checkpoint(body(0, 9)) == (409, b"7\n")


def test_racing_requests_never_roll_back(witness: Witness, tmp_path: Path) -> None:
    """Many sizes at once: each is judged against the last, and the largest cosigned one stays."""
    sizes = list(range(1, 20)) * 3
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda size: witness.add_checkpoint(body(0, size)), sizes))
    [winner] = {size for size, (status, _) in zip(sizes, answers, strict=True) if status == 200}
    assert {answer for answer in answers if answer[0] == 409} == {(409, b"%d\n" % winner)}
    with ThreadPoolExecutor(8) as pool:
        grown = list(range(winner, 21)) * 3
        statuses = list(pool.map(lambda size: witness.add_checkpoint(body(winner, size)), grown))
    assert {status for status, _ in statuses} <= {200, 409}
    published = witness.published("log.example")
    assert published is not None
    told = witness.add_checkpoint(body(0, 1))[1]
    assert published.split(b"\n")[1] + b"\n" == told
    assert not list(tmp_path.glob("*/conflict/*"))
