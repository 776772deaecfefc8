# SPDX-License-Identifier: Apache-2.0
"""Bodies of add-checkpoint (C2SP tlog-witness), and the status that a witness answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from making.base import (
    LOG,
    NoteKey,
    Vector,
    b64,
    bad,
    checkpoint,
    extends,
    good,
    leaf,
    line,
    note,
    root,
)

LEAVES = [leaf(b"%d" % number) for number in range(16)]
SECOND = NoteKey("second.example/log", 1)
PQ_LOG = NoteKey("pq.example/log", 6)


def body(
    old: int | str, size: int, *, proof: list[bytes] | None = None, text: bytes = b""
) -> bytes:
    """A body from ``old`` to ``size``; ``proof`` and ``text`` (of the note) if they are others."""
    if proof is None:
        whole = isinstance(old, int) and 0 < old <= size
        proof = extends(int(old), LEAVES[:size]) if whole else []
    signed = text or note(checkpoint(size, root(LEAVES[:size])), LOG)
    lines = "".join(b64(each) + "\n" for each in proof)
    return f"old {old}\n{lines}\n".encode() + signed


def add_checkpoint() -> Iterator[Vector]:
    """``status``: what a witness answers that cosigned size ``before`` of ``log`` (0: nothing).

    ``to-4`` and ``to-5`` bring a new witness there. ``answer`` is the body where it is prescribed.
    """

    def case(file: str, data: bytes, before: int, status: int, why: str, **more: str) -> Vector:
        make = good if status == 200 else bad
        facts = {"before": before, "status": status, "log": LOG.vkey} | more
        return make(f"add-checkpoint/{file}", data, why, **facts)

    yield case("to-5", body(0, 5), 0, 200, "from nothing: no proof")
    yield case("to-4", body(0, 4), 0, 200, "from nothing: no proof")
    yield case("first-empty", body(0, 0), 0, 200, "the empty tree")
    yield case("grow", body(5, 8), 5, 200, "with a consistency proof")
    yield case("grow-from-power", body(4, 7), 4, 200, "an old size that is a power of two")
    yield case("same", body(5, 5), 5, 200, "the same checkpoint again: a fresh time")
    unknown = body(5, 8) + line("x.example", b"\1\2\3\4" + bytes(64))
    yield case("unknown-signature", unknown, 5, 200, "a line by an unknown key is ignored")

    text = checkpoint(5, root(LEAVES[:5]), PQ_LOG.name)
    signed = text + b"\n" + PQ_LOG.line(text, 0)
    post_quantum = case("ml-dsa-log", body(0, 5, text=signed), 0, 200, "a log's ML-DSA-44 key")
    yield replace(post_quantum, facts=post_quantum.facts | {"log": PQ_LOG.vkey})

    size5 = {"answer": "5\n"}
    yield case("stale", body(0, 8), 5, 409, "old is not the size last cosigned", **size5)
    yield case("ahead", body(7, 8), 5, 409, "old is not the size last cosigned", **size5)
    yield case("rollback", body(0, 3), 5, 409, "a smaller tree", **size5)
    yield case("never-seen", body(5, 8), 0, 409, "this witness never saw size 5", answer="0\n")
    fork = checkpoint(5, root([leaf(b"x")]))
    yield case("fork", body(5, 5, text=note(fork, LOG)), 5, 422, "another root for size 5")
    yield case("stale-fork", body(3, 5, text=note(fork, LOG)), 5, 409, "old does not fit", **size5)
    larger = note(checkpoint(8, root([leaf(b"x")])), LOG)
    yield case("no-extension", body(5, 8, text=larger), 5, 422, "the proof leads elsewhere")
    yield case("proof-missing", body(5, 8, proof=[]), 5, 422, "no proof")
    long = [*extends(5, LEAVES[:8]), bytes(32)]
    yield case("proof-too-long", body(5, 8, proof=long), 5, 422, "a hash too many")
    yield case("proof-from-zero", body(0, 5, proof=[bytes(32)]), 0, 422, "must be empty")
    yield case("same-with-proof", body(5, 5, proof=[bytes(32)]), 5, 422, "must be empty")
    wrong = note(checkpoint(0, bytes(32)), LOG)
    yield case("empty-with-root", body(0, 0, text=wrong), 0, 422, "size 0 has one root")

    yield case("old-above-size", body(8, 5, proof=[]), 5, 400, "old is larger than the size")
    yield case("sixty-four", body(5, 8, proof=[bytes(32)] * 64), 5, 400, "64 proof lines")
    yield case("short-hash", body(5, 8, proof=[bytes(31)]), 5, 400, "a hash of 31 bytes")
    plain = body(0, 5)
    for what, old in (
        ("old-leading-zero", "00"),
        ("old-negative", "-0"),
        ("old-not-ascii", "\uff10"),
        ("old-two-spaces", " 0"),
        ("old-empty", ""),
        ("old-too-large", str(2**63)),
    ):
        yield case(what, body(old, 5), 0, 400, f"old line: {old!r}")
    yield case("no-old", plain.partition(b"\n")[2], 0, 400, "no old line")
    yield case("no-empty-line", plain.replace(b"\n\n", b"\n", 1), 0, 400, "no empty line")
    yield case("no-note", b"old 0\n\n", 0, 400, "no checkpoint")
    yield case("unsigned", plain.rpartition(b"\n\n")[0] + b"\n", 0, 400, "no signature line")
    yield case("crlf", plain.replace(b"\n", b"\r\n"), 0, 400, "lines end with LF alone")
    two = f"{LOG.name}\n5\n".encode()
    yield case("malformed-checkpoint", body(0, 5, text=note(two, LOG)), 0, 400, "no root line")

    other = note(checkpoint(5, root(LEAVES[:5]), SECOND.name), SECOND)
    yield case("unknown-origin", body(0, 5, text=other), 0, 404, "no such log here")
    text = checkpoint(5, root(LEAVES[:5]))
    by_other = note(text, NoteKey(LOG.name, 1, "another key"))
    yield case("unknown-key", body(0, 5, text=by_other), 0, 403, "not the log's key")
    forged = text + b"\n" + line(LOG.name, LOG.id + LOG.signature(b"x\n"))
    yield case("bad-signature", body(0, 5, text=forged), 0, 403, "the log's key, another text")
