# SPDX-License-Identifier: Apache-2.0
"""Signed notes, verifier keys, checkpoints, and checkpoints under a policy."""

from __future__ import annotations

from collections.abc import Iterator

from making.base import (
    LOG,
    ORIGIN,
    POLICY_FILE,
    PQ,
    TIME,
    TREE,
    W1,
    W2,
    W3,
    NoteKey,
    Vector,
    b64,
    bad,
    checkpoint,
    ed25519,
    good,
    key_id,
    line,
    note,
    root,
    subtree,
)

TEXT = b"a note\n"
ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's group
A, B = NoteKey("a.example", 1), NoteKey("b.example", 1)


def notes() -> Iterator[Vector]:
    """C2SP signed-note; ``facts.vkeys`` are the known keys."""
    plain, keys = note(TEXT, A), {"vkeys": [A.vkey]}
    signature = A.line(TEXT)
    blob = A.id + A.signature(TEXT)
    yield good("notes/good", plain, "one signature by the known key", **keys)
    yield good("notes/two-keys", note(TEXT, A, B), "both known", vkeys=[A.vkey, B.vkey])
    yield good("notes/unknown-key", note(TEXT, B, A), "an unknown key's line is ignored", **keys)
    forged = line(A.name, B.id + B.signature(TEXT))
    yield good(
        "notes/known-name-unknown-id", TEXT + b"\n" + forged + signature,
        "a known name with another key ID is an unknown key", **keys,
    )  # fmt: skip
    gaps = b"one\n\ntwo\n\n\nthree\n"
    yield good("notes/empty-lines", note(gaps, A), "the last empty line ends the text", **keys)
    many = [NoteKey(f"k{n}.example", 1) for n in range(15)]
    yield good("notes/sixteen-signatures", note(TEXT, *many, A), "16 must be accepted", **keys)

    other = TEXT + b"\n" + line(A.name, A.id + A.signature(b"another note\n"))
    yield bad("notes/altered-text", other, "a known key's signature does not verify", **keys)
    yield bad(
        "notes/one-good-one-bad", note(TEXT, A) + line(B.name, B.id + B.signature(b"x\n")),
        "one of two known keys' signatures does not verify", vkeys=[A.vkey, B.vkey],
    )  # fmt: skip
    yield bad("notes/no-known-key", note(TEXT, B), "no known key signed", **keys)
    yield bad("notes/no-signature", TEXT + b"\n", "no signature line", **keys)
    yield bad("notes/no-empty-line", TEXT + signature, "no empty line before signatures", **keys)
    yield bad("notes/no-newline-at-end", plain[:-1], "the last line does not end", **keys)
    yield bad("notes/tab", note(b"a\tnote\n", A), "a control character other than LF", **keys)
    yield bad("notes/crlf", plain.replace(b"\n", b"\r\n"), "CR is a control character", **keys)
    yield bad("notes/not-utf8", note(b"a \xff note\n", A), "not UTF-8", **keys)
    raw = A.signature(TEXT)
    more = (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    malleable = TEXT + b"\n" + line(A.name, A.id + raw[:32] + more)
    yield bad("notes/s-plus-order", malleable, "Ed25519 S is not below the group's order", **keys)
    hyphen = plain.replace("—".encode(), b"-")
    yield bad("notes/hyphen", hyphen, "U+002D where U+2014 must be", **keys)
    yield bad("notes/two-spaces", plain.replace(b".example ", b".example  "), "two spaces", **keys)
    loose = plain.replace(b64(blob).encode(), b64(blob).rstrip("=").encode())
    yield bad("notes/unpadded-base64", loose, "base64 without its padding", **keys)
    assert b64(blob).endswith("=")
    end = b64(blob)
    digit = end.rstrip("=")[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    tail = alphabet[alphabet.index(digit) + 1] + end[len(end.rstrip("=")) :]
    bits = end[: len(end.rstrip("=")) - 1] + tail
    yield bad(
        "notes/base64-trailing-bits", plain.replace(end.encode(), bits.encode()),
        "base64 whose unused bits are not zero", **keys,
    )  # fmt: skip
    yield bad("notes/only-a-key-id", TEXT + b"\n" + line(A.name, A.id), "no signature", **keys)
    plus = NoteKey("a+b.example", 1)
    yield bad("notes/plus-in-name", note(TEXT, A, plus), "a key name holds '+'", **keys)
    wide = NoteKey("a\u2003b.example", 1)
    yield bad("notes/space-in-name", note(TEXT, A, wide), "a key name holds U+2003", **keys)


def vkey(name: str, kind: int, public: bytes) -> str:
    """A verifier key of whatever bytes."""
    return f"{name}+{key_id(name, kind, public).hex()}+{b64(bytes([kind]) + public)}"


def vkeys() -> Iterator[Vector]:
    """Verifier keys of signed-note and tlog-cosignature, one a file, without a newline."""
    for key, what in ((LOG, "ed25519"), (W1, "cosignature"), (PQ, "ml-dsa-44")):
        yield good(f"vkeys/{what}", key.vkey, f"type 0x{key.kind:02x}")
    name, ident, public = LOG.vkey.split("+", 2)
    wrong = f"{int(ident, 16) ^ 1:08x}"
    yield bad("vkeys/wrong-id", f"{name}+{wrong}+{public}", "not the ID of this name and key")
    yield bad("vkeys/upper-case-id", f"{name}+{W1.id.hex().upper()}+{public}", "upper-case hex")
    yield bad("vkeys/two-parts", f"{name}+{public}", "no key ID")
    yield bad("vkeys/no-name", f"+{ident}+{public}", "an empty name")
    small = bytes([1]) + bytes(31)
    for what, raw in (("small-order", small), ("not-canonical", b"\xee" + b"\xff" * 30 + b"\x7f")):
        yield bad(f"vkeys/{what}", vkey(name, 1, raw), "anybody can sign under this point")
    short = ed25519("short").public_key().public_bytes_raw()[:31]
    yield bad("vkeys/short", vkey(name, 1, short), "31 bytes where a key has 32")
    yield bad("vkeys/unknown-type", vkey(name, 0x63, LOG.public), "type 0x63 is not assigned")


def checkpoints() -> Iterator[Vector]:
    """The text of a checkpoint (tlog-checkpoint), unsigned."""
    here = root([])
    for size in (0, 1, 2**63 - 1):
        yield good(f"checkpoints/size-{size}", checkpoint(size, here), "three lines")
    yield good("checkpoints/unicode-origin", checkpoint(3, here, "lög.example/€"), "UTF-8")
    line_separator = checkpoint(3, here, "log\u2028example")
    yield good("checkpoints/line-separator", line_separator, "U+2028 ends no line")
    text = checkpoint(3, here).decode()
    for what, written, why in (
        ("leading-zero", "03", "a leading zero"),
        ("plus", "+3", "a sign"),
        ("minus", "-3", "a sign"),
        ("space", " 3", "a space"),
        ("underscore", "1_000", "an underscore"),
        ("full-width", "\uff13", "a digit that is not ASCII"),
        ("hexadecimal", "0x3", "not decimal"),
        ("no-size", "", "no size"),
    ):
        yield bad(f"checkpoints/{what}", text.replace("\n3\n", f"\n{written}\n"), f"size: {why}")
    huge = text.replace("\n3\n", f"\n{2**63}\n")
    yield bad("checkpoints/too-large", huge, "a size above 2^63-1", stricter=True)
    yield bad("checkpoints/no-origin", checkpoint(3, here, ""), "an empty origin")
    yield bad("checkpoints/short-root", checkpoint(3, here[:31]), "a root of 31 bytes")
    yield bad("checkpoints/unpadded-root", text.replace("=", ""), "base64 without padding")
    yield bad("checkpoints/no-newline", text[:-1], "the last line does not end")
    yield bad("checkpoints/two-lines", f"{ORIGIN}\n3\n", "no root")
    yield bad("checkpoints/crlf", text.replace("\n", "\r\n"), "CR is part of no line")
    yield bad(
        "checkpoints/extension", text + "extension\n",
        "an extension line: allowed by C2SP, not recommended, and not accepted by incamera",
        stricter=True,
    )  # fmt: skip


def witnessed() -> Iterator[Vector]:
    """Signed and cosigned checkpoints under ``facts.policy`` (tlog-cosignature, tlog-policy)."""
    facts = {"policy": POLICY_FILE}
    start = note(TREE, LOG)
    yield good("witnessed/two-ed25519", start + W1.line(TREE) + W2.line(TREE), "0x04", **facts)
    yield good("witnessed/one-ml-dsa", start + W1.line(TREE) + PQ.line(TREE), "0x04, 0x06", **facts)
    stranger = NoteKey("witness.example/x", 4)
    lines = W1.line(TREE) + stranger.line(TREE) + W3.line(TREE)
    yield good("witnessed/unknown-witness", start + lines, "an unknown cosignature", **facts)
    early = W1.line(TREE, 0) + W2.line(TREE)
    yield good(
        "witnessed/time-zero", start + early, "0 claims no time; freshness is policy", **facts
    )

    yield bad("witnessed/below-quorum", start + W1.line(TREE), "one of the two", **facts)
    twice = start + W1.line(TREE) + W1.line(TREE, TIME + 1)
    yield bad("witnessed/one-witness-twice", twice, "one witness counts once", **facts)
    no_log = TREE + b"\n" + W1.line(TREE) + W2.line(TREE) + W3.line(TREE)
    yield bad("witnessed/no-log", no_log, "cosignatures do not replace the log's", **facts)
    ok = W2.line(TREE)
    moved = (TIME + 1).to_bytes(8, "big") + W1.signature(TREE)[8:]
    yield bad(
        "witnessed/other-time", start + line(W1.name, W1.id + moved) + ok + W3.line(TREE),
        "0x04 signs its time", **facts,
    )  # fmt: skip
    late = (1 << 63).to_bytes(8, "big") + W1.signature(TREE)[8:]
    yield bad(
        "witnessed/time-too-large", start + line(W1.name, W1.id + late) + ok + W3.line(TREE),
        "a time above 2^63-1", **facts,
    )  # fmt: skip
    plain = TIME.to_bytes(8, "big") + ed25519(W1.name).sign(TREE)
    yield bad(
        "witnessed/no-header-line", start + line(W1.name, W1.id + plain) + ok + W3.line(TREE),
        "signed without the lines cosignature/v1 and time", **facts,
    )  # fmt: skip
    text = checkpoint(9, root([b""]))
    yield bad(
        "witnessed/other-tree", start + line(W1.name, W1.id + W1.signature(text)) + ok,
        "a cosignature of another checkpoint", **facts,
    )  # fmt: skip
    renamed = NoteKey("witness.example/other", 6, PQ.name)
    blob = PQ.id + renamed.signature(TREE)
    yield bad(
        "witnessed/ml-dsa-other-name", start + line(PQ.name, blob) + ok,
        "0x06 signs the cosigner's name", **facts,
    )  # fmt: skip
    assert subtree(PQ.name, TIME, TREE) != subtree(renamed.name, TIME, TREE)
    cut = line(PQ.name, PQ.id + PQ.signature(TREE)[:-1])
    yield bad("witnessed/ml-dsa-short", start + cut + ok, "2427 bytes of 2428", **facts)
    other = checkpoint(8, root([b""]), "other.example/log")
    alien = NoteKey("other.example/log", 1)
    yield bad(
        "witnessed/unlisted-log", note(other, alien, W1, W2), "not a log of the policy", **facts
    )
    crossed = other + b"\n" + LOG.line(other) + W1.line(other) + W2.line(other)
    yield bad("witnessed/other-origin", crossed, "signed by a log under another origin", **facts)
    empty = checkpoint(0, root([b""]))
    yield bad("witnessed/empty-with-root", note(empty, LOG, W1, W2), "size 0 has one root", **facts)
