# SPDX-License-Identifier: Apache-2.0
"""Trust policies: what parses, what does not, and when a quorum is met."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from incamera.errors import InputError, IntegrityError
from incamera.tlog import merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import Cosigner, Signer, sign
from incamera.tlog.policy import Policy, Witnessed
from world_tlog import ed25519_key

LOG = Signer("log.example", ed25519_key("log"))
W = [Cosigner(f"w{n}.example", ed25519_key(f"w{n}")) for n in range(6)]
V = [each.vkey for each in W]
TREE = Checkpoint("log.example", 3, merkle.leaf_hash(b"x"))
NESTED = f"""
# EU and the rest must both agree
log {LOG.vkey} https://log.example/
\twitness \t A  {V[0]}   https://a.example/ \n\
witness B {V[1]}
witness C {V[2]}
group EU 2 A B C
witness D {V[3]}
witness E {V[4]}
group nonEU any D E
group both all EU nonEU
quorum both"""


def note(*cosigned: tuple[Cosigner, int], checkpoint: Checkpoint = TREE) -> bytes:
    """A checkpoint note by the log, cosigned at the given times."""
    lines = [cosigner.line(checkpoint.text, at) for cosigner, at in cosigned]
    return sign(checkpoint.text, [LOG]) + b"".join(lines)


def test_nested_groups() -> None:
    """A nested policy asks for two of EU and one of the rest."""
    policy = Policy.parse(NESTED)
    assert policy.text == NESTED.encode()
    assert list(policy.witnesses) == ["A", "B", "C", "D", "E"]
    assert policy.groups["EU"] == (2, ("A", "B", "C"))
    assert policy.quorum_met(["A", "C", "E"])
    assert not policy.quorum_met(["A", "B", "C"])
    assert not policy.quorum_met(["A", "D", "E"])
    assert not policy.quorum_met(["EU", "nonEU", "both"])


def test_check_gives_the_checkpoint_and_the_times() -> None:
    """A good note yields its checkpoint, who cosigned when, and how many lines nobody knows."""
    witnessed = Policy.parse(NESTED).check(note((W[0], 10), (W[1], 30), (W[3], 20), (W[5], 99)))
    assert witnessed.checkpoint == TREE
    assert dict(witnessed.times) == {"A": 10, "B": 30, "D": 20}
    assert witnessed.unknown == 1


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"A": 10, "B": 30, "D": 20}, 10),
        ({"A": 10, "B": 30, "C": 40, "D": 20}, 20),
        ({"A": 10, "B": 30, "C": 40, "D": 99}, 30),
        ({"A": 10, "B": 10, "C": 10**12, "D": 99, "E": 5}, 10),
        ({"A": 0, "B": 5, "D": 5}, 0),
    ],
)
def test_witness_time_is_what_a_quorum_vouches_for(times: dict[str, int], expected: int) -> None:
    """One fast clock cannot make a checkpoint fresh, nor one slow clock make it stale."""
    policy = Policy.parse(NESTED)
    assert Witnessed(TREE, b"", times, 0).time(policy) == expected


def test_no_quorum_means_never_fresh() -> None:
    """A policy that asks for no witness gives a checkpoint no time to be fresh by."""
    policy = Policy.parse(f"log {LOG.vkey}\nwitness A {V[0]}\nquorum none\n")
    assert policy.check(note((W[0], 50))).time(policy) == 0
    assert policy.check(note()).time(policy) == 0


def test_below_quorum_is_refused() -> None:
    """Signed by the log but not by enough witnesses is an integrity failure."""
    with pytest.raises(IntegrityError, match="quorum"):
        Policy.parse(NESTED).check(note((W[0], 10), (W[3], 20)))


def test_witnesses_without_the_log_are_refused() -> None:
    """Cosignatures do not replace the log's own signature."""
    data = TREE.text + b"\n" + b"".join(each.line(TREE.text, 9) for each in W)
    with pytest.raises(IntegrityError, match="not signed by the log"):
        Policy.parse(NESTED).check(data)


def test_a_listed_log_cannot_sign_for_another_origin() -> None:
    """Two logs in one policy: each signs under its own origin only."""
    other = Signer("other.example", ed25519_key("other"))
    policy = Policy.parse(f"log {LOG.vkey}\nlog {other.vkey}\nquorum none\n")
    with pytest.raises(IntegrityError, match="not signed by the log"):
        policy.check(sign(TREE.text, [other]))
    assert policy.check(sign(TREE.text, [LOG])).checkpoint == TREE


def test_an_empty_tree_with_a_root_is_refused() -> None:
    """Size 0 has one root only."""
    bad = Checkpoint("log.example", 0, TREE.root)
    with pytest.raises(IntegrityError, match="empty"):
        Policy.parse(f"log {LOG.vkey}\nquorum none\n").check(sign(bad.text, [LOG]))


def test_malformed_notes_are_integrity_failures_to_a_policy() -> None:
    """Whoever checks a fetched checkpoint sees one kind of failure for any altered byte."""
    with pytest.raises(IntegrityError):
        Policy.parse(NESTED).check(b"nonsense")
    with pytest.raises(IntegrityError):
        Policy.parse(NESTED).check(sign(TREE.text + b"extension\n", [LOG]))


def test_mldsa_witnesses_count() -> None:
    """An ML-DSA-44 witness makes a quorum like any other."""
    witness = Cosigner("q.example", MLDSA44PrivateKey.generate())
    policy = Policy.parse(f"log {LOG.vkey}\nwitness q {witness.vkey}\nquorum q\n")
    assert policy.check(note((witness, 77))).time(policy) == 77


def test_a_log_that_signs_with_mldsa() -> None:
    """A log's ML-DSA-44 signature counts as the log's, and never as a witness's."""
    log = Cosigner("log.example", MLDSA44PrivateKey.generate())
    signed = TREE.text + b"\n" + log.line(TREE.text, 5) + W[0].line(TREE.text, 6)
    policy = Policy.parse(f"log {log.vkey}\nwitness A {V[0]}\nquorum A\n")
    assert dict(policy.check(signed).times) == {"A": 6}
    with pytest.raises(InputError, match="earlier line"):
        Policy.parse(f"log {log.vkey}\nwitness A {log.vkey}\nquorum A\n")
    other = TREE.text.replace(b"log.example", b"other.log")
    with pytest.raises(IntegrityError, match="does not hold"):
        policy.check(other + b"\n" + log.line(TREE.text, 5))


def test_names_are_opaque() -> None:
    """Names may be any octets, and keywords too, except none."""
    text = f"witness all {V[0]}\nwitness any {V[1]}\ngroup group 2 all any\nquorum group\n"
    assert Policy.parse(text).quorum_met(["all", "any"])
    policy = Policy.parse(
        b"witness K\xe2\x84\xaa\x80 " + V[0].encode() + b"\nquorum K\xe2\x84\xaa\x80\n"
    )
    assert policy.quorum_met(list(policy.witnesses))
    assert len(Policy.parse("quorum none\n").witnesses) == 0


def test_large_policies() -> None:
    """At least 32 logs, witnesses and groups are supported, as the specification asks."""
    many = range(40)
    logs = [f"log {Signer(f'l{n}', ed25519_key(f'l{n}')).vkey}" for n in many]
    witnesses = [f"witness x{n} {Cosigner(f'x{n}', ed25519_key(f'x{n}')).vkey}" for n in many]
    groups = [f"group g{n} any x{n}" for n in many]
    last = "group q 21 " + " ".join(f"g{n}" for n in many)
    policy = Policy.parse("\n".join([*logs, *witnesses, *groups, last, "quorum q"]))
    assert policy.quorum_met([f"x{n}" for n in range(21)])
    assert not policy.quorum_met([f"x{n}" for n in range(20)])


DUPLICATE = Cosigner("impostor.example", ed25519_key("w0")).vkey
OWN = Cosigner("log.example", ed25519_key("log")).vkey
SMALL = "evil+" + "00000000" + "+" + "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
W1 = f"witness w1 {V[0]}\n"
BAD = {
    "control octet": "quorum none\n\x01",
    "carriage return": "quorum none\r\n",
    "unknown keyword": "quibble w1\nquorum none\n",
    "inline comment": f"witness w1 {V[0]} https://w1.example/ # c\nquorum w1\n",
    "log without key": "log\nquorum none\n",
    "log with no vkey": "log garbage\nquorum none\n",
    "log with a witness's key": f"log {V[0]}\nquorum none\n",
    "log that witnesses itself": f"log {LOG.vkey}\nwitness w1 {OWN}\nquorum w1\n",
    "duplicate log": f"log {LOG.vkey}\nlog {LOG.vkey} https://x/\nquorum none\n",
    "witness without key": "witness w1\nquorum none\n",
    "witness with a log's key": f"witness w1 {LOG.vkey}\nquorum w1\n",
    "witness named none": f"witness none {V[0]}\nquorum none\n",
    "witness name twice": f"{W1}witness w1 {V[1]}\nquorum w1\n",
    "one key under two names": f"{W1}witness w2 {DUPLICATE}\nquorum w1\n",
    "group named as a witness": f"{W1}group w1 any w1\nquorum w1\n",
    "group without members": f"{W1}group g 1\nquorum w1\n",
    "group named none": f"{W1}group none any w1\nquorum none\n",
    "threshold zero": f"{W1}group g 0 w1\nquorum g\n",
    "threshold negative": f"{W1}group g -1 w1\nquorum g\n",
    "threshold with a leading zero": f"{W1}group g 01 w1\nquorum g\n",
    "threshold in other digits": f"{W1}group g \uff11 w1\nquorum g\n",
    "threshold too high": f"{W1}group g 2 w1\nquorum g\n",
    "unknown member": f"{W1}group g any w2\nquorum g\n",
    "member defined later": f"group g any w1\n{W1}quorum g\n",
    "none as a member": f"{W1}group g any none w1\nquorum g\n",
    "member twice in a group": f"{W1}group g all w1 w1\nquorum g\n",
    "member of two groups": f"{W1}witness w2 {V[1]}\ngroup g any w1 w2\ngroup h any w1\nquorum g\n",
    "no quorum": W1,
    "two quorums": f"{W1}quorum w1\nquorum w1\n",
    "quorum unknown": "quorum unknown\n",
    "quorum defined later": f"quorum w1\n{W1}",
    "quorum without name": "quorum\n",
    "small-order key": f"witness w1 {SMALL}\nquorum w1\n",
    "endless": "#" + "x" * (1 << 20) + "\nquorum none\n",
}


@pytest.mark.parametrize("why", BAD)
def test_bad_policies_are_refused(why: str) -> None:
    """Every departure from the specification is bad input."""
    with pytest.raises(InputError):
        Policy.parse(BAD[why])


def test_a_vkey_that_is_not_utf8_is_refused() -> None:
    """Names in a policy are opaque octets, key names are text."""
    with pytest.raises(InputError, match="UTF-8"):
        Policy.parse(b"log \xff" + LOG.vkey.encode() + b"\nquorum none\n")
