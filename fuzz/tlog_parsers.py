# SPDX-License-Identifier: Apache-2.0
"""The parsers of the log's formats, and the laws of what they take: it writes back to itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fuzz import world
from fuzz.target import Target, law
from fuzz.world import LOG, NOW, POLICY, POLICY_TEXT, WITNESSES
from incamera.encoding import base64_text
from incamera.errors import InputError
from incamera.tlog import merkle, note, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.policy import Policy
from incamera.tlog.proof import Proof
from incamera.tlog.witness import AddCheckpoint

__all__ = ["TARGETS"]

_LEAVES = [f"entry {i}".encode() for i in range(5)]
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_KEYS = [LOG.verifier, *(each.verifier for each in WITNESSES)]


def _root() -> bytes:
    return merkle.root([merkle.leaf_hash(each) for each in _LEAVES])


def _notes() -> Sequence[bytes]:
    foreign = note.Signer("other.example", LOG._key)
    return [
        world.note(5, _root()),
        world.note(0, merkle.EMPTY),
        note.sign(b"a text\n\nof two parts\n", [LOG, foreign]),
    ]


def _note(data: bytes) -> None:
    text, lines = note.split_note(data)
    law(not _CONTROL.search(data), "a control character")
    law(text + b"\n" + b"".join(line + b"\n" for *_, line in lines) == data, "lost bytes")
    for name, blob, line in lines:
        said = f"— {name} {base64_text(blob)}".encode()
        law(said == line, "a signature line that is not the one way to write it")
    opened = note.open_note(data, _KEYS)
    law(opened.text == text and bool(opened.verified), "opened without a signature")
    for each in opened.verified:
        held = each.verifier.timestamp(text, each.signature)
        law(held == each.timestamp, "a signature that does not hold")
        law(each.line.rstrip(b"\n") in data.split(b"\n"), "a signature nobody showed")


def _checkpoint(data: bytes) -> None:
    law(Checkpoint.parse(data).text == data, "another text")


def _tile(data: bytes) -> None:
    """A path, a newline, and the tile there."""
    path, _, body = data.partition(b"\n")
    name = tile.parse_path(path.decode("latin-1"))
    if name is None:
        raise InputError("not a tile path")
    law(name.path.encode("latin-1") == path, "another path")
    law(1 <= name.width <= 256 and name.level < 64, "an impossible tile")
    if name.level == tile.ENTRIES:
        entries = tile.decode_bundle(body, "bundle")
        law(tile.encode_bundle(entries) == body, "another bundle")
    else:
        law(b"".join(tile.split_hashes(body, name.width, "tile")) == body, "another tile")


def _tiles() -> Sequence[bytes]:
    hashes = b"".join(map(merkle.leaf_hash, _LEAVES))
    bundle = tile.encode_bundle([*_LEAVES, b"", bytes(65_535)])
    full = b"".join(merkle.leaf_hash(b"%d" % i) for i in range(256))
    return [
        b"tile/0/000.p/5\n" + hashes,
        b"tile/1/x001/x234/067\n" + full,
        b"tile/entries/x001/000.p/7\n" + bundle,
        b"tile/63/000.p/1\n" + hashes[:32],
    ]


def _bundle(data: bytes) -> None:
    entries = tile.decode_bundle(data, "bundle")
    law(tile.encode_bundle(entries) == data, "another bundle")


def _proofs() -> Sequence[bytes]:
    a, b, c, _, e = map(merkle.leaf_hash, _LEAVES)
    shown = world.note(5, _root())
    path = (c, merkle.node_hash(a, b), e)
    first = Proof(3, path, shown)
    first.verify(_LEAVES[3], POLICY)
    return [
        first.format(),
        Proof(3, path, shown, _LEAVES[3]).format(),
        Proof(0, (), shown).format(),
    ]


def _proof(data: bytes) -> None:
    proof = Proof.parse(data)
    law(proof.format() == data, "another proof")
    # Verified for any entry: nothing but our errors, and never for an entry that is not there.
    if proof.extra not in _LEAVES:
        try:
            proof.verify(proof.extra or b"", POLICY)
        except Exception as error:  # noqa: BLE001 -- whatever comes out is looked at
            law(type(error).__module__ == "incamera.errors", f"verify raised {error!r}")
            return
        law(proof.extra is None, "a proof of what is not in the log")


def _policies() -> Sequence[bytes]:
    witness = f"witness w {WITNESSES[0].vkey}\n"
    return [
        POLICY_TEXT,
        f"log {LOG.vkey}\n{witness}quorum w\n".encode(),
        f"log {LOG.vkey}\nquorum none".encode(),
        f"{witness}\t group \t g 1 w\n#\nquorum g\n".encode(),
    ]


def _policy(data: bytes) -> None:
    policy = Policy.parse(data)
    law(policy.text == data, "another text")
    law(policy.quorum_met(policy.witnesses), "a quorum that nobody can make")
    law(policy.quorum_met([]) == (policy.quorum == "none"), "a quorum of nobody")
    keys = [each.public for each in (*policy.logs, *policy.witnesses.values())]
    law(len(set(keys)) == len(keys), "one key twice")


def _vkey(data: bytes) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8") from error
    law(note.Verifier.parse(text).vkey == text, "another vkey")


def _bodies() -> Sequence[bytes]:
    line, shown = base64_text(world.secret("proof")), world.note(5, _root())
    return [
        b"old 0\n\n" + shown,
        f"old 3\n{line}\n{line}\n\n".encode() + shown,
        b"old 9\n" + f"{line}\n".encode() * 63 + b"\n" + shown,
    ]


def _body(data: bytes) -> None:
    found = AddCheckpoint.parse(data)
    hashes = "".join(f"{base64_text(each)}\n" for each in found.proof)
    law(f"old {found.old}\n{hashes}\n".encode() + found.note == data, "another body")


TARGETS = (
    Target("note", "lines", _notes, _note, world.resign_note),
    Target(
        "checkpoint",
        "lines",
        lambda: [Checkpoint(LOG.name, 5, _root()).text, Checkpoint("é x", NOW, bytes(32)).text],
        _checkpoint,
    ),
    Target("tile", "lines", _tiles, _tile),
    Target("bundle", "bytes", lambda: [tile.encode_bundle([*_LEAVES, b""]), b""], _bundle),
    Target("tlog-proof", "lines", _proofs, _proof, world.resign_behind),
    Target("tlog-policy", "lines", _policies, _policy),
    Target("vkey", "lines", lambda: [each.vkey.encode() for each in _KEYS], _vkey),
    Target("add-checkpoint", "lines", _bodies, _body, world.resign_behind),
)
