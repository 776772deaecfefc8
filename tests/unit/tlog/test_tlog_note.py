# SPDX-License-Identifier: Apache-2.0
"""Signed notes, cosignatures, checkpoints: what is refused, and as what."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from incamera.errors import InputError, IntegrityError
from incamera.tlog import keys, merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import ED25519, Cosigner, Signature, Signer, Verifier, open_note, sign
from incamera.tlog.note import split_note as split
from world_tlog import ed25519_key

ALICE = Signer("alice", ed25519_key("alice"))
BOB = Signer("bob", ed25519_key("bob"))
TEXT = b"one\n\ntwo\n"
NOTE = sign(TEXT, [ALICE, BOB])
TREE = Checkpoint("log.example", 3, merkle.leaf_hash(b"x"))


def test_a_note_opens_under_each_key() -> None:
    """The text ends at the last blank line, and lines of unknown keys are kept apart."""
    opened = open_note(NOTE, [ALICE.verifier])
    assert opened.text == TEXT
    assert [each.verifier.name for each in opened.verified] == ["alice"]
    assert len(opened.unknown) == 1
    assert b"bob" in opened.unknown[0]


def test_a_known_key_that_fails_voids_the_note() -> None:
    """One bad line of a known key is enough, whatever the others say."""
    forged = Signature(ALICE.verifier, BOB.signature(TEXT)).line
    with pytest.raises(IntegrityError, match="alice"):
        open_note(sign(TEXT, [BOB]) + forged, [ALICE.verifier, BOB.verifier])


def test_nobody_known_signed() -> None:
    """A note without any known signature is refused."""
    with pytest.raises(IntegrityError, match="any known key"):
        open_note(sign(TEXT, [BOB]), [ALICE.verifier])


def test_same_name_other_key_is_unknown() -> None:
    """A key is its name and its key ID: a namesake's line neither counts nor harms."""
    namesake = Signer("alice", ed25519_key("mallory"))
    opened = open_note(sign(TEXT, [namesake, ALICE]), [ALICE.verifier])
    assert len(opened.verified) == len(opened.unknown) == 1


def test_a_line_twice_counts_once() -> None:
    """A repeated signature line makes one signer, not two."""
    line = Signature(ALICE.verifier, ALICE.signature(TEXT)).line
    assert len(open_note(TEXT + b"\n" + line + line, [ALICE.verifier]).verified) == 1


LINE = Signature(ALICE.verifier, ALICE.signature(TEXT)).line


@pytest.mark.parametrize(
    "data",
    [
        b"",
        TEXT,
        TEXT + b"\n",
        TEXT + LINE,
        TEXT + b"\n" + LINE[:-1],
        TEXT + b"\n" + LINE + b"\n",
        TEXT + b"\n" + LINE + b"trailing",
        TEXT + b"\n" + b"\xe2\x80\x93" + LINE[3:],
        TEXT + b"\n" + LINE.replace(b" alice ", b" alice  "),
        TEXT + b"\n" + LINE.replace(b" alice ", b" "),
        TEXT + b"\n" + LINE.replace(b" alice ", b" al+ice "),
        TEXT + b"\n" + LINE.replace(b" alice ", " al\u2003ice ".encode()),
        TEXT + b"\n" + LINE.replace(b"=\n", b"\n"),
        TEXT + b"\n" + "— alice AAAA\n".encode(),
        b"a\rb\n\n" + LINE,
        b"a\x00b\n\n" + LINE,
        b"\xff\n\n" + LINE,
        TEXT + b"\n" + LINE * 101,
        b"x" * (1 << 20) + NOTE,
    ],
)
def test_malformed_notes(data: bytes) -> None:
    """A note that is not written the one right way is bad input."""
    with pytest.raises(InputError):
        open_note(data, [ALICE.verifier])


def test_base64_that_means_the_same_is_refused() -> None:
    """Two texts for one signature would let a note be altered unseen."""
    blob = LINE.split(b" ")[2].rstrip(b"\n")
    assert blob.endswith(b"=")
    digit = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".index(blob[-2:-1])
    other = bytearray(blob)
    other[-2] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[digit ^ 1]
    assert base64.b64decode(bytes(other)) == base64.b64decode(blob)
    with pytest.raises(InputError, match="canonical"):
        split(TEXT + b"\n" + LINE.replace(blob, bytes(other)))


@pytest.mark.parametrize("raw", [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_small_order_keys_are_refused(raw: bytes) -> None:
    """Keys under which anything verifies are refused when they are loaded."""
    with pytest.raises(InputError, match="refused"):
        Verifier("evil", ED25519, raw)


def test_cosignature_covers_time_and_text() -> None:
    """A cosignature holds for its own time and checkpoint and no other."""
    witness = Cosigner("w", ed25519_key("w"))
    line = witness.line(TREE.text, 1234)
    [opened] = open_note(TREE.text + b"\n" + line, [witness.verifier]).verified
    assert opened.timestamp == 1234
    moved = (1235).to_bytes(8, "big") + opened.signature[8:]
    other = Checkpoint(TREE.origin, 4, TREE.root).text
    late = (1 << 63).to_bytes(8, "big") + opened.signature[8:]
    assert witness.verifier.timestamp(TREE.text, moved) is None
    assert witness.verifier.timestamp(TREE.text, late) is None
    assert witness.verifier.timestamp(other, opened.signature) is None
    assert witness.verifier.timestamp(TREE.text, opened.signature[8:]) is None


def test_mldsa_cosignature() -> None:
    """An ML-DSA-44 cosignature verifies and commits to the witness's name and the checkpoint."""
    key = MLDSA44PrivateKey.generate()
    witness, namesake = Cosigner("w", key), Cosigner("w2", key)
    line = witness.line(TREE.text, 99)
    [opened] = open_note(TREE.text + b"\n" + line, [witness.verifier]).verified
    assert opened.timestamp == 99
    assert len(opened.signature) == 2428
    assert Verifier.parse(witness.vkey) == witness.verifier
    assert namesake.verifier.timestamp(TREE.text, opened.signature) is None
    other = Checkpoint(TREE.origin, 4, TREE.root).text
    assert witness.verifier.timestamp(other, opened.signature) is None
    assert witness.verifier.timestamp(b"no checkpoint\n", opened.signature) is None


def test_a_witness_never_signs_time_zero() -> None:
    """Timestamp 0 would mean "no claim": our witness does not make such cosignatures."""
    with pytest.raises(InputError):
        Cosigner("w", ed25519_key("w")).line(TREE.text, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n3\n{r}\n",
        "o\n3\n{r}",
        "o\n03\n{r}\n",
        "o\n+3\n{r}\n",
        "o\n 3\n{r}\n",
        "o\n3_0\n{r}\n",
        "o\n\uff13\n{r}\n",
        "o\n-1\n{r}\n",
        "o\n9223372036854775808\n{r}\n",
        "o\n3\n{r}\nextension\n",
        "o\n3\n{r}\n\n",
        "o\n3\nAAAA\n",
        "o\n3\n{r} \n",
        "o\u20283\n{r}\n",
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    """Size, root and lines of a checkpoint have one form each; extension lines are refused."""
    root = base64.b64encode(bytes(32)).decode()
    with pytest.raises(InputError):
        Checkpoint.parse(text.format(r=root).encode())


def test_a_checkpoint_with_an_odd_origin_keeps_it() -> None:
    """Only newlines end a line: an origin with U+2028 in it stays one line."""
    text = f"o\u2028p\n3\n{base64.b64encode(bytes(32)).decode()}\n".encode()
    assert Checkpoint.parse(text).text == text


def test_key_files(tmp_path: Path) -> None:
    """Keys come back from their files, which nobody else may read or replace."""
    signer, cosigner = keys.generate_signer("log.example"), keys.generate_cosigner("w.example")
    post_quantum = keys.generate_cosigner("q.example", ml_dsa=True)
    made: dict[str, Signer | Cosigner] = {"log": signer, "w": cosigner, "q": post_quantum}
    for name, key in made.items():
        keys.save(tmp_path / name, key)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert keys.load_signer(tmp_path / "log").vkey == signer.vkey
    assert keys.load_cosigner(tmp_path / "w").vkey == cosigner.vkey
    assert keys.load_cosigner(tmp_path / "q").vkey == post_quantum.vkey
    with pytest.raises(InputError, match="exists"):
        keys.save(tmp_path / "log", signer)
    with pytest.raises(InputError, match="witness's key"):
        keys.load_signer(tmp_path / "w")
    with pytest.raises(InputError, match="log's key"):
        keys.load_cosigner(tmp_path / "log")
    (tmp_path / "log").chmod(0o640)
    with pytest.raises(InputError, match="other users may read"):
        keys.load_signer(tmp_path / "log")


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[1:],
        lambda line: line.replace(b"log.example", b"log.exemple"),
        lambda line: line[:-6] + b"\n",
        lambda line: b"\xff" + line,
        lambda line: b"",
    ],
)
def test_damaged_key_files(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """A key file that was altered is refused."""
    keys.save(tmp_path / "log", Signer("log.example", ed25519_key("log")))
    (tmp_path / "log").write_bytes(damage((tmp_path / "log").read_bytes()))
    with pytest.raises(InputError):
        keys.load_signer(tmp_path / "log")
