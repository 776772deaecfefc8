# SPDX-License-Identifier: Apache-2.0
"""A witness whose state came back from a backup: what it cosigned since, it is shown again."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest

from incamera.clock import FixedClock
from incamera.errors import IntegrityError
from incamera.tlog import merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import Cosigner, Signer, sign
from incamera.tlog.witness import Witness
from world_tlog import ed25519_key, log_world

LOG = Signer("log.example", ed25519_key("log"))
KEY = Cosigner("w.example", ed25519_key("w"))
OTHER = Cosigner("v.example", ed25519_key("v"))
LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(20)]
FORKED = [*LEAVES[:5], merkle.leaf_hash(b"fork"), *LEAVES[6:]]


def submitted(old: int, size: int, leaves: list[bytes] = LEAVES) -> bytes:
    """An ``add-checkpoint`` body for the first ``size`` of ``leaves``."""

    def get(level: int, index: int) -> bytes:
        return merkle.root(leaves[index << level : index + 1 << level])

    hashes = merkle.consistency_proof(old, size, get)
    lines = "".join(base64.b64encode(each).decode() + "\n" for each in hashes)
    return f"old {old}\n{lines}\n".encode() + signed(size, leaves)


def signed(size: int, leaves: list[bytes] = LEAVES, signer: Signer = LOG) -> bytes:
    """A checkpoint, signed by the log alone."""
    return sign(Checkpoint(signer.name, size, merkle.root(leaves[:size])).text, [signer])


def opened(folder: Path) -> Witness:
    """As after a restart."""
    return Witness(folder, KEY, {"log.example": LOG.verifier}, FixedClock(1000))


def rolled_back(folder: Path) -> tuple[Witness, bytes]:
    """A witness that cosigned 12 entries and remembers 5; its own note of the 12."""
    witness = opened(folder / "w")
    assert witness.add_checkpoint(submitted(0, 5))[0] == 200
    shutil.copytree(folder / "w", folder / "backup")
    assert witness.add_checkpoint(submitted(5, 12))[0] == 200
    newest = witness.published("log.example")
    assert newest is not None
    shutil.rmtree(folder / "w")
    shutil.copytree(folder / "backup", folder / "w")
    return opened(folder / "w"), newest


def test_without_recall_a_restored_witness_would_cosign_a_fork(tmp_path: Path) -> None:
    """What the rest is worth: it forgot the 12 entries, so another tree of 12 extends its 5."""
    witness, _ = rolled_back(tmp_path)
    assert witness.add_checkpoint(submitted(5, 12, FORKED))[0] == 200


def test_what_we_cosigned_ourselves_is_gone_on_from(tmp_path: Path) -> None:
    """Shown the log's checkpoint at the start: the fork is refused, the honest tree is not."""
    witness, newest = rolled_back(tmp_path)
    assert witness.recall(newest)
    assert not witness.recall(newest)
    assert witness.add_checkpoint(submitted(5, 12, FORKED)) == (409, b"12\n")
    assert witness.add_checkpoint(submitted(12, 14, FORKED))[0] == 422
    assert opened(tmp_path / "w").published("log.example") == newest
    assert witness.add_checkpoint(submitted(12, 14))[0] == 200


def test_a_checkpoint_that_we_did_not_cosign_says_nothing_about_us(tmp_path: Path) -> None:
    """Signed by the log alone, by another witness, for another log, altered, or rubbish."""
    witness, newest = rolled_back(tmp_path)
    bare = signed(14)
    text = bare[: bare.index(b"\n\n") + 1]
    forged = bytearray(newest)
    forged[-10] ^= 1
    for note in (
        bare,
        bare + OTHER.line(text, 1000),
        text + b"\n" + KEY.line(text, 1000),
        signed(14, signer=Signer("other.example", ed25519_key("log"))),
        bytes(forged),
        b"rubbish",
        b"",
    ):
        assert not witness.recall(note)
    assert witness.add_checkpoint(submitted(5, 12))[0] == 200


def test_two_trees_of_our_own_are_kept_and_told(tmp_path: Path) -> None:
    """A witness that finds it cosigned a fork says so: both notes lie in its folder."""
    witness, newest = rolled_back(tmp_path)
    assert witness.add_checkpoint(submitted(5, 12, FORKED))[0] == 200
    with pytest.raises(IntegrityError, match="two trees of 12"):
        witness.recall(newest)
    (conflict,) = (tmp_path / "w").glob("*/conflict")
    assert len(list(conflict.iterdir())) == 2


def test_a_published_checkpoint_bears_what_recall_needs(tmp_path: Path) -> None:
    """The checkpoint of a real log, with lines of three witnesses: each finds its own."""
    world = log_world(tmp_path)
    world.log.append([b"one"])
    saved = tmp_path / "saved"
    shutil.copytree(tmp_path / "w1", saved)
    world.log.append([b"two"])
    shutil.rmtree(tmp_path / "w1")
    shutil.copytree(saved, tmp_path / "w1")
    published = (world.public / "checkpoint").read_bytes()
    assert world.witnesses[0].inner.recall(published)
    assert not world.witnesses[1].inner.recall(published)
    world.log.append([b"three"])
    assert world.reader().checkpoint().checkpoint.size == 3
