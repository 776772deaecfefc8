# SPDX-License-Identifier: Apache-2.0
"""The vectors of others in tests/vectors/tlog: see the README there for where each is from."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from incamera.errors import InputError, IntegrityError
from incamera.tlog import Policy, cosignature, keys, merkle, tile
from incamera.tlog.frontier import Frontier
from incamera.tlog.note import Verifier, open_note, sign, split_note

VECTORS = Path(__file__).parent / "tlog"


def load(name: str) -> Any:
    """A vector file."""
    return json.loads((VECTORS / name).read_text())


def b64(text: str) -> bytes:
    """Bytes from base64."""
    return base64.b64decode(text)


@pytest.mark.parametrize("case", load("notes.json"), ids=lambda case: case["desc"])
def test_notes_of_others_open(case: dict[str, Any]) -> None:
    """Notes made by others open under their keys, with every signature counted."""
    verifiers = [Verifier.parse(each) for each in case["vkeys"]]
    opened = open_note(case["note"].encode(), verifiers)
    assert [each.verifier.name for each in opened.verified] == [each.name for each in verifiers]
    assert opened.unknown == ()


def test_a_go_key_file_signs_what_go_signs(tmp_path: Path) -> None:
    """A private key written by the Go tools loads and makes their very signature."""
    case = load("notes.json")[1]
    path = tmp_path / "peter.key"
    path.write_text(case["skey"] + "\n")
    path.chmod(0o600)
    text, lines = split_note(case["note"].encode())
    assert sign(text, [keys.load_signer(path)]) == text + b"\n" + lines[0][2] + b"\n"


@pytest.mark.parametrize("note", load("tessera.json")["checkpoints"])
def test_checkpoints_of_tessera(note: str) -> None:
    """Signed by its key, and the root over the entries that Tessera was given."""
    case = load("tessera.json")
    policy = Policy.parse(f"log {case['vkey']}\nquorum none\n")
    found = policy.check(note.encode()).checkpoint
    leaves = [merkle.leaf_hash(each.encode()) for each in case["leaves"]]
    assert found.root == merkle.root(leaves[: found.size])


@pytest.mark.parametrize("vkey", load("vkeys.json")["good"])
def test_vkeys_of_others_parse(vkey: str) -> None:
    """A verifier key of another implementation parses and prints as it was."""
    assert Verifier.parse(vkey).vkey == vkey


@pytest.mark.parametrize(("why", "vkey"), load("vkeys.json")["bad"].items())
def test_bad_vkeys_are_refused(why: str, vkey: str) -> None:
    """A malformed verifier key is refused as bad input."""
    with pytest.raises(InputError):
        Verifier.parse(vkey)


@pytest.mark.parametrize("case", load("merkle.json")["inclusion"])
def test_inclusion_vectors(case: dict[str, Any]) -> None:
    """Inclusion proofs of others verify, are what we make, and fail when anything moves."""
    leaves = [merkle.leaf_hash(bytes.fromhex(each)) for each in load("merkle.json")["leaves"]]
    index, size, root = case["leafIdx"], case["treeSize"], b64(case["root"])
    proof = [b64(each) for each in case["proof"]]
    assert merkle.root(leaves[:size]) == root
    assert leaves[index] == b64(case["leafHash"])
    merkle.verify_inclusion(index, size, leaves[index], proof, root)

    def get(level: int, number: int) -> bytes:
        return merkle.root(leaves[number << level : number + 1 << level])

    assert merkle.inclusion_proof(index, size, get) == proof
    wrong: list[tuple[int, int, bytes, list[bytes], bytes]] = [
        (index ^ 2, size, leaves[index], proof, root),
        (index, size * 2, leaves[index], proof, root),
        (size, size, leaves[index], proof, root),
        (-1, size, leaves[index], proof, root),
        (index, size, b"WrongLeaf".ljust(32), proof, root),
        (index, size, leaves[index], proof, merkle.EMPTY),
        (index, size, leaves[index], [], root),
        (index, size, leaves[index], [*proof, b""], root),
        (index, size, leaves[index], [*proof, root], root),
        (index, size, leaves[index], [root, *proof], root),
        (index, size, leaves[index], proof[:-1], root),
        (index, size, leaves[index], [proof[0][:31], *proof[1:]], root),
    ]
    for attempt in wrong:
        with pytest.raises(IntegrityError):
            merkle.verify_inclusion(*attempt)


@pytest.mark.parametrize("case", load("merkle.json")["consistency"])
def test_consistency_vectors(case: dict[str, Any]) -> None:
    """Consistency proofs of others verify, are what we make, and fail when anything moves."""
    leaves = [merkle.leaf_hash(bytes.fromhex(each)) for each in load("merkle.json")["leaves"]]
    old, new = case["size1"], case["size2"]
    roots = b64(case["root1"]), b64(case["root2"])
    proof = [b64(each) for each in case["proof"]]
    merkle.verify_consistency(old, new, *roots, proof)

    def get(level: int, number: int) -> bytes:
        return merkle.root(leaves[number << level : number + 1 << level])

    assert merkle.consistency_proof(old, new, get) == proof
    wrong: list[tuple[int, int, bytes, bytes, list[bytes]]] = [
        (old, new, roots[0], merkle.EMPTY, proof),
        (old, new, merkle.EMPTY, roots[1], proof),
        (new + 1, new, *roots, proof),
        (-1, new, *roots, proof),
        (old, new, *roots, [*proof, roots[0]]),
        (old, new, *roots, [roots[0], *proof]),
    ]
    if proof:
        wrong += [(old, new, roots[1], roots[0], proof), (old, new, *roots, proof[:-1])]
        wrong += [(old, new, *roots, []), (old ^ 2, new, *roots, proof)]
    for attempt in wrong:
        with pytest.raises(IntegrityError):
            merkle.verify_consistency(*attempt)


def test_any_tree_extends_the_empty_one() -> None:
    """Size 0 with an empty proof holds, as tlog-witness has it; with a proof it does not."""
    root = merkle.root([merkle.leaf_hash(b"x")])
    merkle.verify_consistency(0, 1, merkle.EMPTY, root, [])
    for attempt in ((merkle.EMPTY, root, [root]), (root, root, [])):
        with pytest.raises(IntegrityError):
            merkle.verify_consistency(0, 1, *attempt)


def test_frontier_follows_the_known_roots() -> None:
    """Appending leaf by leaf gives the root of every size, and survives being written down."""
    hashes = [merkle.leaf_hash(bytes.fromhex(each)) for each in load("merkle.json")["leaves"]]
    frontier = Frontier()
    for size, leaf in enumerate(hashes, 1):
        frontier.append(leaf)
        assert frontier.root() == merkle.root(hashes[:size])
        assert Frontier.from_json(frontier.to_json()).root() == frontier.root()


@pytest.mark.parametrize("case", load("tiles.json")["paths"])
def test_tile_paths(case: dict[str, Any]) -> None:
    """Tile paths are written and read as the specification shows them."""
    name = tile.TileName(case["level"], case["index"], case["width"])
    assert name.path == case["path"]
    assert tile.parse_path(case["path"]) == name


@pytest.mark.parametrize("case", load("tiles.json")["widths"])
def test_tile_widths(case: dict[str, Any]) -> None:
    """A tree of a size has the full and partial tiles the specification counts."""
    level, size, full = case["level"], case["size"], case["full"]
    assert all(tile.width_at(level, index, size) == 256 for index in range(full))
    assert tile.width_at(level, full, size) == case["partial"]


def test_mldsa_subtree_cosignature_of_torchwood() -> None:
    """Our ML-DSA message is the one another implementation signed."""
    case = load("mldsa-subtree.json")
    verifier = Verifier.parse(case["vkey"])
    _, [(name, blob, _)] = split_note(b"x\n\n" + case["line"].encode())
    assert (name, blob[:4]) == (verifier.name, verifier.key_id)
    parts = cosignature.split(blob[4:])
    assert parts is not None
    timestamp, raw = parts
    message = cosignature.subtree_message(
        name, timestamp, case["origin"], case["start"], case["end"], b64(case["root"])
    )
    MLDSA44PublicKey.from_public_bytes(verifier.public).verify(raw, message)
