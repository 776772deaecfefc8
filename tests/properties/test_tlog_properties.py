# SPDX-License-Identifier: Apache-2.0
"""Laws of trees, tiles, notes and quorums; and mutated bytes give our errors or a value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import Error, InputError, IntegrityError
from incamera.tlog import Policy, Proof, merkle, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.edge import RightEdge
from incamera.tlog.frontier import Frontier
from incamera.tlog.note import Cosigner, Signer, Verifier, open_note, sign
from incamera.tlog.witness import AddCheckpoint
from world_tlog import ed25519_key, policy_text

LEAVES = [merkle.leaf_hash(b"%d" % number) for number in range(700)]
LOG = Signer("log.example", ed25519_key("log"))
WITNESSES = [Cosigner(f"w{n}.example", ed25519_key(f"w{n}")) for n in range(3)]
POLICY = Policy.parse(policy_text(LOG, WITNESSES, 2))


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962's own definition, top down."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return merkle.node_hash(mth(leaves[:split]), mth(leaves[split:]))


def get(level: int, index: int) -> bytes:
    """Any complete subtree, by the definition."""
    return mth(LEAVES[index << level : index + 1 << level])


@given(st.integers(0, 700))
@settings(max_examples=60, deadline=None)
def test_all_ways_to_a_root_agree(size: int) -> None:
    """Definition, bottom-up rows, frontier and right edge give one root."""
    frontier, edge = Frontier(), RightEdge()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)
        list(edge.append(leaf))
    expected = mth(LEAVES[:size])
    assert merkle.root(LEAVES[:size]) == expected
    assert frontier.root() == edge.root() == expected
    assert merkle.subtree(0, size, get) == expected


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_inclusion_holds_for_its_place_only(data: st.DataObject) -> None:
    """A proof verifies at its index and size, and at no other index, leaf or root."""
    size = data.draw(st.integers(1, 700))
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    root = merkle.root(LEAVES[:size])
    proof = merkle.inclusion_proof(index, size, get)
    merkle.verify_inclusion(index, size, LEAVES[index], proof, root)
    if other != index:
        with pytest.raises(IntegrityError):
            merkle.verify_inclusion(other, size, LEAVES[index], proof, root)
        with pytest.raises(IntegrityError):
            merkle.verify_inclusion(index, size, LEAVES[other], proof, root)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_consistency_holds_between_prefixes_only(data: st.DataObject) -> None:
    """A proof verifies between a tree and its prefix, and not for a prefix that differs."""
    new = data.draw(st.integers(0, 700))
    old = data.draw(st.integers(0, new))
    roots = merkle.root(LEAVES[:old]), merkle.root(LEAVES[:new])
    proof = merkle.consistency_proof(old, new, get)
    merkle.verify_consistency(old, new, *roots, proof)
    if old:
        forked = list(LEAVES[:old])
        forked[data.draw(st.integers(0, old - 1))] = merkle.EMPTY
        with pytest.raises(IntegrityError):
            merkle.verify_consistency(old, new, merkle.root(forked), roots[1], proof)


@given(
    st.integers(-3, 2**65), st.integers(-3, 2**65), st.lists(st.binary(max_size=40), max_size=70)
)
@settings(max_examples=200)
def test_proof_checks_never_leak_other_errors(one: int, two: int, proof: list[bytes]) -> None:
    """Whatever sizes and hashes come in, the answer is our error or a good proof."""
    with pytest.raises(IntegrityError):
        merkle.verify_inclusion(one, two, LEAVES[0], proof, LEAVES[1])
    with pytest.raises(IntegrityError):
        merkle.verify_consistency(one, two, LEAVES[0], LEAVES[1], proof)


@given(st.lists(st.integers(1, 300), max_size=5))
@settings(max_examples=20, deadline=None)
def test_edges_name_the_tiles_of_a_size(counts: list[int]) -> None:
    """Full tiles as they fill and partials at the end are just those a size implies."""
    edge = RightEdge()
    full = set()
    for count in counts:
        for _ in range(count):
            full |= {(level, index) for level, index, _ in edge.append(LEAVES[edge.size % 700])}
    partial = {(level, index, len(hashes)) for level, index, hashes in edge.partials()}
    for level in range(3):
        for index in range(8):
            width = tile.width_at(level, index, edge.size)
            assert ((level, index) in full) == (width == 256)
            assert ((level, index, width) in partial) == (0 < width < 256)


@given(st.integers(-1, 63), st.integers(0, 10**10), st.integers(1, 256))
def test_tile_paths_round_trip(level: int, number: int, width: int) -> None:
    """Each tile of a tree of fewer than 2**63 entries has one path, which gives it back."""
    index = number % (1 << max(0, 55 - 8 * max(level, 0)))
    name = tile.TileName(level, index, width)
    assert tile.parse_path(name.path) == name


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    """Entries come out of a bundle as they went in, and a cut bundle is noticed."""
    data = tile.encode_bundle(entries)
    assert tile.decode_bundle(data, "bundle") == entries
    if data:
        with pytest.raises(IntegrityError):
            tile.decode_bundle(data[:-1], "bundle")


CHECKPOINT = Checkpoint("log.example", 3, LEAVES[0])
NOTE = sign(CHECKPOINT.text, [LOG]) + b"".join(w.line(CHECKPOINT.text, 1234) for w in WITNESSES)
PROOF = Proof(1, LEAVES[:2], NOTE).format()
REQUEST = b"old 0\n\n" + NOTE
READERS: list[tuple[bytes, Callable[[bytes], object]]] = [
    (NOTE, lambda data: open_note(data, [LOG.verifier])),
    (NOTE, POLICY.check),
    (CHECKPOINT.text, Checkpoint.parse),
    (PROOF, Proof.parse),
    (PROOF, lambda data: Proof.parse(data).verify(b"x", POLICY)),
    (POLICY.text, Policy.parse),
    (REQUEST, AddCheckpoint.parse),
    (LOG.vkey.encode(), lambda data: Verifier.parse(data.decode("utf-8", "surrogateescape"))),
    (tile.encode_bundle([b"abc", b""]), lambda data: tile.decode_bundle(data, "bundle")),
]


@given(st.sampled_from(READERS), st.data())
@settings(max_examples=400, deadline=None)
def test_mutated_bytes_give_our_error_or_a_value(
    reader: tuple[bytes, Callable[[bytes], object]], data: st.DataObject
) -> None:
    """Cut, flipped or stuffed input never raises anything but an incamera error."""
    mutated = bytearray(reader[0])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(mutated)))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        reader[1](bytes(mutated))
    except Error as error:
        assert isinstance(error, InputError | IntegrityError)  # noqa: PT017 - either is right


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_no_flip_of_a_checkpoint_passes_unseen(at: int, mask: int) -> None:
    """One flipped byte makes the note fail, or turns a known line into one nobody knows."""
    flipped = bytearray(NOTE)
    flipped[at] ^= mask
    try:
        witnessed = POLICY.check(bytes(flipped))
    except IntegrityError:
        return
    assert witnessed.unknown == 1
    assert witnessed.checkpoint == CHECKPOINT


@given(st.permutations(range(5)), st.integers(1, 5))
def test_quorum_is_monotone(order: list[int], needed: int) -> None:
    """One more witness never breaks a quorum, and exactly k of n are asked for."""
    cosigners = [Cosigner(f"w{n}.example", ed25519_key(f"w{n}")) for n in range(5)]
    policy = Policy.parse(policy_text(LOG, cosigners, needed))
    names = [f"w{n + 1}" for n in order]
    met = [policy.quorum_met(names[:count]) for count in range(6)]
    assert met == [count >= needed for count in range(6)]
