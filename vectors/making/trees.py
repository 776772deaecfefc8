# SPDX-License-Identifier: Apache-2.0
"""Merkle proofs (RFC 6962, RFC 9162), tiles and bundles (tlog-tiles), tlog-proof files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from making.base import (
    ENTRIES,
    LEAVES,
    LOG,
    POLICY_FILE,
    TREE,
    W1,
    W2,
    NoteKey,
    Vector,
    b64,
    bad,
    checkpoint,
    extends,
    good,
    leaf,
    note,
    path,
    root,
)

MANY = [leaf(b"%d" % number) for number in range(300)]


def _json(**fields: Any) -> str:
    return json.dumps(fields, indent=1, sort_keys=True) + "\n"


def inclusion() -> Iterator[Vector]:
    """A leaf hash at an index of a tree: everything stands in the file."""

    def case(index: int, size: int, /, **change: Any) -> str:
        leaves = MANY[:size]
        fields: dict[str, Any] = {
            "index": index,
            "size": size,
            "leaf": b64(MANY[index]),
            "root": b64(root(leaves)),
            "proof": [b64(each) for each in path(index, leaves)],
        }
        return _json(**fields | change)

    for index, size in ((0, 1), (0, 2), (6, 7), (3, 8), (255, 256), (256, 257), (299, 300)):
        yield good(f"inclusion/{index}-of-{size}", case(index, size), "an inclusion proof")
    proof = [b64(each) for each in path(5, MANY[:7])]
    zero = b64(bytes(32))
    for what, change, why in (
        ("index-at-size", {"index": 7}, "no entry 7 in a tree of 7"),
        ("other-index", {"index": 4}, "the path is that of entry 5"),
        ("other-size", {"size": 9}, "the tree has 7 entries"),
        ("other-leaf", {"leaf": b64(MANY[4])}, "another entry"),
        ("other-root", {"root": zero}, "another tree"),
        ("one-hash-less", {"proof": proof[:-1]}, "a hash is missing"),
        ("one-hash-more", {"proof": [*proof, zero]}, "a hash too many"),
        ("hash-in-front", {"proof": [zero, *proof]}, "a hash too many"),
        ("no-proof", {"proof": []}, "no hashes"),
        ("swapped", {"proof": [proof[1], proof[0], *proof[2:]]}, "hashes out of order"),
        ("short-hash", {"proof": [b64(bytes(31)), *proof[1:]]}, "a hash of 31 bytes"),
        ("sixty-four", {"proof": [zero] * 64}, "no proof has 64 hashes"),
    ):
        yield bad(f"inclusion/{what}", case(5, 7, **change), why)
    yield bad("inclusion/empty-tree", case(0, 1, size=0, proof=[]), "no entry in an empty tree")
    node = _json(index=0, size=1, leaf=b64(root(MANY[:2])), root=b64(root(MANY[:2])), proof=[])
    yield bad("inclusion/sibling-as-leaf", case(0, 2, leaf=b64(MANY[1])), "the other entry")
    yield good("inclusion/node-as-leaf", node, "a root is a tree of size 1: only the size tells")
    same = case(5, 7, size=8)
    yield good("inclusion/size-unproven", same, "7 is true: the size is the signature's to tell")


def consistency() -> Iterator[Vector]:
    """That a tree of ``new`` entries begins with one of ``old``."""

    def case(old: int, new: int, /, **change: Any) -> str:
        fields: dict[str, Any] = {
            "old": old,
            "new": new,
            "old_root": b64(root(MANY[:old])),
            "new_root": b64(root(MANY[:new])),
            "proof": [b64(each) for each in extends(old, MANY[:new])] if old else [],
        }
        return _json(**fields | change)

    for old, new in ((0, 0), (0, 5), (5, 5), (1, 8), (3, 7), (4, 7), (6, 8), (200, 300)):
        yield good(f"consistency/{old}-to-{new}", case(old, new), "a consistency proof")
    proof = [b64(each) for each in extends(3, MANY[:7])]
    swapped = {"old_root": b64(root(MANY[:7])), "new_root": b64(root(MANY[:3]))}
    zero = b64(bytes(32))
    for what, change, why in (
        ("other-old-root", {"old_root": zero}, "another old tree"),
        ("other-new-root", {"new_root": zero}, "another new tree"),
        ("roots-swapped", swapped, "each root in the other's place"),
        ("other-old-size", {"old": 2}, "the old tree has 3 entries"),
        ("other-new-size", {"new": 9}, "the new tree has 7 entries"),
        ("one-hash-less", {"proof": proof[:-1]}, "a hash is missing"),
        ("one-hash-more", {"proof": [*proof, zero]}, "a hash too many"),
        ("no-proof", {"proof": []}, "no hashes"),
        ("backwards", {"old": 7, "new": 3}, "the old tree is larger"),
        ("short-hash", {"proof": [b64(bytes(31)), *proof[1:]]}, "a hash of 31 bytes"),
    ):
        yield bad(f"consistency/{what}", case(3, 7, **change), why)
    yield bad(
        "consistency/same-size-other-root", case(5, 5, new_root=zero), "two roots for one size"
    )
    same = case(3, 7, new=8)
    yield good("consistency/size-unproven", same, "7 is true: the size is the signature's to tell")
    yield bad("consistency/from-zero-with-proof", case(0, 5, proof=[zero]), "must be empty")
    yield bad("consistency/zero-with-root", case(0, 5, old_root=zero), "size 0 has one root")


def paths() -> Iterator[Vector]:
    """The path of a tile below the log's prefix; no newline at the end of the file."""
    for number, (text, level, index, width) in enumerate(
        (
            ("tile/0/000", 0, 0, 256),
            ("tile/0/x001/x234/067", 0, 1234067, 256),
            ("tile/1/000.p/1", 1, 0, 1),
            ("tile/entries/x001/235.p/17", "entries", 1235, 17),
            ("tile/63/000.p/255", 63, 0, 255),
        )
    ):
        facts = {"level": level, "index": index, "width": width}
        yield good(f"paths/good-{number + 1}", text, "a tile path", **facts)
    for what, text, why in (
        ("level-64", "tile/64/000", "levels are 0 to 63"),
        ("level-leading-zero", "tile/00/000", "a leading zero"),
        ("level-negative", "tile/-1/000", "a sign"),
        ("index-unpadded", "tile/0/5", "groups have three digits"),
        ("index-four-digits", "tile/0/1000", "groups have three digits"),
        ("index-without-x", "tile/0/001/000", "all groups but the last begin with x"),
        ("index-x-last", "tile/0/x001/x000", "the last group has no x"),
        ("index-needless-group", "tile/0/x000/005", "one index has one path"),
        ("index-not-ascii", "tile/0/\uff10\uff10\uff10", "digits that are not ASCII"),
        ("width-0", "tile/0/000.p/0", "empty tiles are not served"),
        ("width-256", "tile/0/000.p/256", "a full tile has no width"),
        ("width-300", "tile/0/000.p/300", "widths are 1 to 255"),
        ("width-leading-zero", "tile/0/000.p/01", "a leading zero"),
        ("newline", "tile/0/000\n", "a newline at the end"),
        ("above-2-63", "tile/0/x036/x028/x797/x018/x963/968", "no tree has this tile"),
    ):
        yield bad(f"paths/{what}", text, why)


def tiles() -> Iterator[Vector]:
    """A tile's bytes; ``facts``: how many hashes it must have, and the root over them."""
    full = MANY[:256]
    facts = {"width": 5, "root": b64(root(MANY[:5]))}
    five = b"".join(MANY[:5])
    yield good("tiles/full", b"".join(full), "8192 bytes", width=256, root=b64(root(full)))
    yield good("tiles/partial", five, "5 hashes", **facts)
    yield bad("tiles/short", five[:-1], "a byte is missing", **facts)
    yield bad("tiles/one-less", five[:-32], "a hash is missing", **facts)
    yield bad("tiles/one-more", five + bytes(32), "a hash too many", **facts)
    yield bad("tiles/empty", b"", "empty tiles are not served", **facts)
    yield bad("tiles/altered", bytes([five[0] ^ 1]) + five[1:], "one bit of a hash", **facts)
    yield bad("tiles/swapped", five[32:64] + five[:32] + five[64:], "two hashes swapped", **facts)


def bundles() -> Iterator[Vector]:
    """An entry bundle; ``facts.leaves`` are the hashes in its level-0 tile."""
    entries = [b"first", b"", b"\xff" * 70, b"last"]
    facts = {"leaves": [b64(leaf(each)) for each in entries]}

    def bundle(items: list[bytes]) -> bytes:
        return b"".join(len(each).to_bytes(2, "big") + each for each in items)

    data = bundle(entries)
    yield good("bundles/four", data, "four entries, one of them empty", **facts)
    yield bad("bundles/cut-in-entry", data[:-1], "ends in the middle of an entry", **facts)
    yield bad("bundles/cut-in-length", data + b"\0", "ends in the middle of a length", **facts)
    yield bad("bundles/one-less", bundle(entries[:3]), "an entry is missing", **facts)
    yield bad("bundles/one-more", data + bundle([b"more"]), "an entry too many", **facts)
    yield bad("bundles/altered", data.replace(b"last", b"lost"), "not what was logged", **facts)
    swapped = bundle([entries[1], entries[0], *entries[2:]])
    yield bad("bundles/swapped", swapped, "entries out of order", **facts)
    little = b"".join(len(each).to_bytes(2, "little") + each for each in entries)
    yield bad("bundles/little-endian", little, "lengths are big-endian", **facts)


def proofs() -> Iterator[Vector]:
    """tlog-proof files; ``facts``: the entry in base64, and the policy."""
    facts = {"entry": b64(ENTRIES[5]), "policy": POLICY_FILE}
    hashes = [b64(each) for each in path(5, LEAVES)]
    signed = note(TREE, LOG, W1, W2).decode()

    def proof(index: str = "5", lines: list[str] = hashes, body: str = signed, **top: str) -> str:
        head = [top.get("magic", "c2sp.org/tlog-proof@v1"), *filter(None, [top.get("extra")])]
        return "\n".join([*head, f"index {index}", *lines, "", body])

    yield good("proofs/plain", proof(), "entry 5 of 8", **facts)
    yield good(
        "proofs/extra", proof(extra="extra aGVsbG8="), "extra data, unauthenticated", **facts
    )
    one = checkpoint(1, leaf(ENTRIES[0]))
    alone = proof("0", [], note(one, LOG, W1, W2).decode())
    yield good("proofs/only-entry", alone, "no hashes", entry=b64(ENTRIES[0]), policy=POLICY_FILE)

    yield bad("proofs/other-entry", proof(), "another entry", **facts | {"entry": b64(ENTRIES[4])})
    yield bad("proofs/other-index", proof("4"), "the path is that of entry 5", **facts)
    yield bad("proofs/index-beyond", proof("8"), "no entry 8 in a tree of 8", **facts)
    yield bad("proofs/index-leading-zero", proof("05"), "a leading zero", **facts)
    yield bad("proofs/index-negative", proof("-5"), "a sign", **facts)
    yield bad("proofs/index-missing", proof().replace("index 5\n", ""), "no index line", **facts)
    yield bad("proofs/other-magic", proof(magic="c2sp.org/tlog-proof@v2"), "version 2", **facts)
    yield bad("proofs/hash-missing", proof(lines=hashes[:-1]), "a hash is missing", **facts)
    yield bad("proofs/sixty-four", proof(lines=hashes[:1] * 64), "64 hashes", **facts)
    yield bad("proofs/long-hash", proof(lines=[b64(bytes(64))]), "a hash of 64 bytes", **facts)
    loose = [hashes[0].rstrip("="), *hashes[1:]]
    yield bad("proofs/unpadded-hash", proof(lines=loose), "base64 without padding", **facts)
    yield bad("proofs/bad-extra", proof(extra="extra !!"), "extra is not base64", **facts)
    late = proof().replace("index 5\n", "index 5\nextra aGVsbG8=\n")
    yield bad("proofs/extra-after-index", late, "extra stands before index", **facts)
    yield bad("proofs/no-empty-line", proof().replace("\n\n", "\n", 1), "no empty line", **facts)
    few = note(TREE, LOG, W1).decode()
    yield bad("proofs/below-quorum", proof(body=few), "one of two cosignatures", **facts)
    alien = NoteKey("other.example/log", 1)
    other = note(checkpoint(8, root(LEAVES), alien.name), alien, W1, W2).decode()
    yield bad("proofs/other-log", proof(body=other), "a log the policy does not name", **facts)
    grown = note(checkpoint(9, root([*LEAVES, leaf(b"x")])), LOG, W1, W2).decode()
    yield bad("proofs/other-checkpoint", proof(body=grown), "a checkpoint of size 9", **facts)
    crlf = proof().replace("\n", "\r\n")
    yield bad("proofs/crlf", crlf, "lines end with LF alone", **facts)
