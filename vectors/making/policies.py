# SPDX-License-Identifier: Apache-2.0
"""Trust policies (C2SP tlog-policy). Many of the refused ones follow transparency-dev/formats."""

from __future__ import annotations

from collections.abc import Iterator

from making.base import LOG, POLICY, PQ, W1, W2, W3, NoteKey, Vector, bad, good

W4 = NoteKey("witness.example/w4", 4)
HEAD = f"log {LOG.vkey}\n"
W = f"witness w1 {W1.vkey}\n"
FOUR = "".join(f"witness w{n} {each.vkey}\n" for n, each in enumerate((W1, W2, W3, W4), 1))
NESTED = (
    f"{HEAD}{FOUR}group EU all w1 w2\ngroup elsewhere any w3 w4\n"
    "group both all EU elsewhere\nquorum both\n"
)


def policies() -> Iterator[Vector]:
    """``facts.met`` and ``facts.unmet``: sets of cosigning witnesses, and what they make."""
    yield good(
        "policies/nested", NESTED, "groups of groups",
        met=[["w1", "w2", "w3"], ["w1", "w2", "w4"]], unmet=[["w1", "w3", "w4"], ["w1", "w2"], []],
    )  # fmt: skip
    yield good("policies/minimal", "quorum none\n", "no log, no witness", met=[[]], unmet=[])
    yield good(
        "policies/threshold", POLICY, "2 of 4, one post-quantum",
        met=[["w1", "pq"], ["w2", "w3"]], unmet=[["pq"], []],
    )  # fmt: skip
    yield good(
        "policies/one-witness", f"{HEAD}{W}quorum w1\n", "the quorum is a witness",
        met=[["w1"]], unmet=[[]],
    )  # fmt: skip
    spaced = (
        f"\n# comment\n\t # too\n\twitness \t w1  {W1.vkey}   https://w1.example/  \n quorum\tw1"
    )
    yield good("policies/blanks", spaced, "blanks, comments, a URL, no last newline",
               met=[["w1"]], unmet=[[]])  # fmt: skip
    words = f"witness all {W1.vkey}\nwitness any {W2.vkey}\ngroup group 2 all any\nquorum group\n"
    yield good("policies/keywords-as-names", words, "any word but none is a name",
               met=[["all", "any"]], unmet=[["all"]])  # fmt: skip
    odd = b"witness K\xe2\x84\xaa\x80 " + W1.vkey.encode() + b"\nquorum K\xe2\x84\xaa\x80\n"
    yield good("policies/octets-as-names", odd, "names are octets, not text", met=[], unmet=[[]])
    many = "".join(f"log {NoteKey(f'log{n}.example', 1).vkey}\n" for n in range(32))
    many += "".join(f"witness x{n} {NoteKey(f'x{n}', 4).vkey}\n" for n in range(32))
    many += "".join(f"group g{n} any x{n}\n" for n in range(31))
    many += f"group q 17 {' '.join(f'g{n}' for n in range(31))} x31\nquorum q\n"
    yield good(
        "policies/thirty-two", many, "32 logs, witnesses and groups must be supported",
        met=[[f"x{n}" for n in range(17)]], unmet=[[f"x{n}" for n in range(16)]],
    )  # fmt: skip
    pq_log = NoteKey("pq.example/log", 6)
    yield good("policies/ml-dsa-log", f"log {pq_log.vkey}\nquorum none\n",
               "a log that signs with ML-DSA-44", met=[[]], unmet=[])  # fmt: skip

    end = "quorum w1\n"
    same = NoteKey("impostor.example", 4, W1.name)
    own = NoteKey("own.example", 4, LOG.name)
    for what, text, why in (
        ("control-octet", "quorum none\n\x01", "octet 0x01"),
        ("carriage-return", "quorum none\r\n", "octet 0x0d"),
        ("delete-octet", "# \x7f\nquorum none\n", "octet 0x7f"),
        ("unknown-keyword", f"{W}quibble w1\n{end}", "an unknown keyword"),
        ("inline-comment", f"witness w1 {W1.vkey} https://w1/ # no\n{end}", "a comment in a line"),
        ("log-without-key", f"log\n{W}{end}", "log without a vkey"),
        ("log-with-garbage", f"log garbage\n{W}{end}", "not a vkey"),
        ("log-twice", f"{HEAD}{HEAD}{W}{end}", "one public key on two log lines"),
        ("witness-without-key", f"witness w1\n{end}", "witness without a vkey"),
        ("witness-with-log-key", f"witness w1 {LOG.vkey}\n{end}", "0x01 is no cosignature type"),
        ("witness-named-none", f"witness none {W1.vkey}\nquorum none\n", "none is predefined"),
        ("name-twice", f"{W}witness w1 {W2.vkey}\n{end}", "one name for two witnesses"),
        ("key-twice", f"{W}witness w2 {same.vkey}\n{end}", "one key under two names"),
        ("group-named-as-witness", f"{W}group w1 any w1\n{end}", "the name is taken"),
        ("group-named-none", f"{W}group none any w1\nquorum none\n", "none is predefined"),
        ("group-without-members", f"{W}group g 1\n{end}", "no member"),
        ("threshold-zero", f"{W}group g 0 w1\nquorum g\n", "0 of 1"),
        ("threshold-negative", f"{W}group g -1 w1\nquorum g\n", "-1 of 1"),
        ("threshold-too-large", f"{W}group g 2 w1\nquorum g\n", "2 of 1"),
        ("threshold-not-ascii", f"{W}group g \u0661 w1\nquorum g\n", "an Arabic digit"),
        ("unknown-member", f"{W}group g any w2\nquorum g\n", "w2 is not defined"),
        ("later-member", f"group g any w1\n{W}quorum g\n", "w1 is defined on a later line"),
        ("none-as-member", f"{W}group g any none w1\nquorum g\n", "none is no member"),
        ("member-twice", f"{W}group g all w1 w1\nquorum g\n", "w1 counts in one way only"),
        ("member-of-two", f"{W}group g any w1\ngroup h any w1\nquorum g\n", "w1 is in two groups"),
        ("group-in-itself", f"{W}group g any w1 g\nquorum g\n", "g is not defined before"),
        ("no-quorum", W, "no quorum line"),
        ("two-quorums", f"{W}{end}{end}", "two quorum lines"),
        ("unknown-quorum", "quorum w9\n", "w9 is not defined"),
        ("early-quorum", f"{end}{W}", "w1 is defined on a later line"),
        ("quorum-without-name", f"{W}quorum\n", "no name"),
        ("ml-dsa-key-twice", f"witness a {PQ.vkey}\nwitness b {PQ.vkey}\nquorum a\n", "one key"),
    ):
        yield bad(f"policies/{what}", text, why)
    yield bad(
        "policies/log-as-its-witness", f"{HEAD}witness own {own.vkey}\nquorum own\n",
        "the log's key is its witness's: allowed by C2SP, refused by incamera", stricter=True,
    )  # fmt: skip
