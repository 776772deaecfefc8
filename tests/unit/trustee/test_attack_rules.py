# SPDX-License-Identifier: Apache-2.0
"""Attacks on the rules of a grant themselves, and on what a trustee reads them from."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest

from incamera.encoding import base64_text, canonical, parse_canonical
from incamera.errors import InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import Name, digest
from incamera.ledger.codec import ENTRY_TYPE, decode
from incamera.ledger.evidence import check_fork, parse_evidence
from incamera.ledger.grant import Grant
from incamera.ledger.request import GrantRequest
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog import FolderFetch, Policy, tile
from incamera.tlog.note import Cosigner, Signer, sign
from incamera.trustee import RefusedError
from world import DAY, World, fetch_with, quick_folder
from world_tlog import ORIGIN, ed25519_key


def asked(world: World) -> GrantRequest:
    """An honest request to ``ch``."""
    capsule = world.capsule()
    return world.ask("ch", *world.request([capsule]), capsule)


# What the log serves


def entry_bundle(world: World) -> tuple[str, list[bytes]]:
    """The path of the last entry bundle, which is a partial one, and its entries."""
    path = f"tile/entries/000.p/{world.logs.log.size}"
    return path, tile.decode_bundle(FolderFetch(world.public)(path), path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entries: tile.encode_bundle(entries[:-1]),
        lambda entries: tile.encode_bundle([*entries, b"one more"]),
        lambda entries: tile.encode_bundle([*entries, *[b"x"] * (256 - len(entries))]),
        lambda entries: tile.encode_bundle([entries[1], entries[0], *entries[2:]]),
        lambda entries: tile.encode_bundle([*entries[:-1], entries[-2]]),
        lambda entries: tile.encode_bundle([*entries[:-1], b""]),
        lambda entries: tile.encode_bundle(entries)[:-1],
        lambda entries: tile.encode_bundle(entries) + b"\0",
        lambda entries: tile.encode_bundle(entries) + b"\0\0",
        lambda _entries: b"",
        lambda _entries: bytes(1 << 16),
    ],
)
def test_attack_partial_tile_tricks(world: World, spoil: Callable[[list[bytes]], bytes]) -> None:
    """A bundle of another width, order or length than the witnessed size implies is not read."""
    request = asked(world)
    path, entries = entry_bundle(world)
    fetch = fetch_with(FolderFetch(world.public), path, lambda: spoil(entries))
    trustee = world.trustee("ch", fetch=fetch)
    size = trustee.state.size
    with pytest.raises((IntegrityError, InputError)):
        trustee.decide(request)
    assert trustee.state.size == size
    assert list(world.state().grants()) == []


def test_attack_a_full_tile_in_place_of_a_collected_partial_has_only_what_was_witnessed(
    world: World,
) -> None:
    """Where a partial is gone its full tile is read, and what stands beyond the size is not."""
    request = asked(world)
    path, entries = entry_bundle(world)
    beyond = [*entries, *[world.leaf([world.capsule()])] * (256 - len(entries))]
    inner = FolderFetch(world.public)

    def fetch(wanted: str) -> bytes:
        if wanted == path:
            raise UnavailableError("collected")
        return tile.encode_bundle(beyond) if wanted == "tile/entries/000" else inner(wanted)

    trustee = world.trustee("ch", fetch=fetch)
    trustee.follower.follow(world.logs.policy.check(request.note))
    assert trustee.state.size == len(entries)
    assert len(list(trustee.state.requests())) == 1


def test_attack_an_erasure_that_the_log_takes_back(world: World) -> None:
    """The log serves other bytes where an erasure stood: they do not make the witnessed root."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    world.erase(capsule)
    request = world.ask("ch", leaf, index, capsule)
    path, entries = entry_bundle(world)
    hidden = tile.encode_bundle([*entries[:-1], b"nothing happened here"])
    trustee = world.trustee("ch", fetch=fetch_with(FolderFetch(world.public), path, lambda: hidden))
    with pytest.raises(IntegrityError):
        trustee.decide(request)
    trustee.close()
    with pytest.raises(PolicyError, match="erased"):
        world.trustee("ch").decide(request)


def test_attack_a_proof_and_a_checkpoint_of_two_trees(world: World) -> None:
    """Each is genuine; together they prove nothing."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    before = world.ask("ch", leaf, index, capsule)
    world.append(b"one", b"two", b"three")
    after = world.ask("ch", leaf, index, capsule)
    assert before.proof != after.proof
    for mixed in (replace(before, proof=after.proof), replace(after, proof=before.proof)):
        with pytest.raises(IntegrityError, match="inclusion"):
            world.trustees["ch"].decide(mixed)


# The bytes of a request


def rewritten(leaf: bytes) -> list[bytes]:
    """The same request in other bytes."""
    value = json.loads(leaf)
    payload = json.dumps(json.loads(_payload(leaf)), indent=1).encode()
    return [
        json.dumps(value).encode(),
        json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode(),
        leaf + b"\n",
        leaf.replace(b"=", b"\\u003d"),
        canonical(value | {"payload": base64_text(payload)}),
        canonical(value | {"note": "unsigned"}),
    ]


def _payload(leaf: bytes) -> bytes:
    return decode(leaf, "leaf").envelope.payload


def test_attack_a_request_in_other_bytes_is_not_that_request(world: World) -> None:
    """One request has one form: whatever else a lenient reader would take is refused."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    request = world.ask("ch", leaf, index, capsule)
    for other in rewritten(leaf):
        assert other != leaf
        with pytest.raises(InputError):
            world.trustees["ch"].decide(replace(request, leaf=other))


def test_attack_numbers_that_are_none(world: World) -> None:
    """Signs, fractions, full-width digits and booleans are no integers in what is sent."""
    request = asked(world)
    value = parse_canonical(request.serialise(), "x")
    for number in (True, 1.0, "1", -1, 2**60, [1]):
        changed = json.dumps(value | {"index": number}, sort_keys=True, separators=(",", ":"))
        with pytest.raises(InputError):
            GrantRequest.parse(changed.encode())


# Keys


def test_attack_small_order_keys(world: World) -> None:
    """A key under which anything verifies is nobody's: not a log's, a witness's or a reader's."""
    small = bytes([1]) + bytes(31)
    party = world.party("reader", "everybody", "company", "DE", SigningKey.generate().public)
    payload = parse_canonical(_payload(party), "payload") | {"key": base64_text(small)}
    world.append(seal_envelope(canonical(payload), ENTRY_TYPE, world.operator))
    (finding,) = world.state().findings()
    assert "small-order" in finding.text
    assert world.state().party("reader", "everybody") is None
    signer, witness = world.logs.signer, world.logs.cosigners[0]
    for each in (signer.verifier, witness.verifier):
        with pytest.raises(InputError, match="small-order"):
            replace(each, public=small)


def test_attack_a_witness_of_ones_own(world: World) -> None:
    """Cosignatures by keys that the policy does not name count for nothing, however many."""
    request = asked(world)
    tree = world.logs.log.checkpoint().checkpoint
    names = [each.name for each in world.logs.cosigners]
    own = [Cosigner(name, ed25519_key(f"forged {name}")) for name in names]
    now = world.clock.now()
    note = sign(tree.text, [world.logs.signer])
    note += b"".join(each.line(tree.text, now) for each in own)
    with pytest.raises(IntegrityError, match="quorum"):
        world.trustees["ch"].decide(replace(request, note=note))


# The rules


def test_attack_a_reader_that_becomes_a_government(world: World) -> None:
    """Who a reader is, is judged now: asked as a company, granted as what it has become."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    key = world.readers["acme"].signing.public
    world.append(world.party("reader", "acme", "government", "DE", key))
    with pytest.raises(PolicyError, match="government, DE"):
        world.decide("ch", leaf, index, capsule)
    world.append(world.party("reader", "acme", "company", "US", key))
    with pytest.raises(PolicyError, match="company, US"):
        world.decide("ch", leaf, index, capsule)


def test_attack_a_later_policy_does_not_reach_back(world: World) -> None:
    """A laxer policy, published and announced since, opens no capsule sealed before it."""
    capsule = world.capsule()
    world.policy = world.publish_policy("permit (principal, action, resource);")
    later = world.capsule()
    leaf, index = world.request([capsule, later], reader="ministry")
    with pytest.raises(PolicyError, match="another policy"):
        world.decide("ch", leaf, index, capsule)
    assert world.decide("ch", leaf, index, later).shares  # sealed under it: that is its owner's say


def test_attack_many_requests_do_not_stretch_a_quota() -> None:
    """The day's quota is the reader's, not a request's: split, replayed or asked of one by one."""
    with quick_folder() as folder:
        world = World(folder, quota=2)
        capsules = [world.capsule(bytes([i])) for i in range(3)]
        one, at = world.request(capsules[:1])
        two, next_at = world.request(capsules[1:])
        assert world.decide("ch", one, at, capsules[0]).shares
        assert world.decide("ch", one, world.append(one), capsules[0]).shares  # counted once
        with pytest.raises(PolicyError, match="2 a day"):
            world.decide("ch", two, next_at, *capsules[1:])
        assert world.decide("ch", two, next_at, capsules[1]).shares
        with pytest.raises(PolicyError, match="2 a day"):
            world.decide("ch", two, next_at, capsules[2])
        assert world.decide("is", two, next_at, capsules[2]).shares  # each trustee counts alone


def test_attack_midnight_comes_when_witnesses_say_so() -> None:
    """A trustee's own clock past midnight renews no quota; the witnesses' time does."""
    with quick_folder() as folder:
        world = World(folder, quota=1)
        capsules = [world.capsule(b"one"), world.capsule(b"two")]
        world.clock.advance(DAY - world.clock.now() % DAY - 600)
        world.logs.log.refresh()
        leaf, index = world.request(capsules)
        assert world.decide("ch", leaf, index, capsules[0]).shares
        world.clock.advance(1_200)
        with pytest.raises(PolicyError, match="a day"):
            world.trustees["ch"].decide(world.ask("ch", leaf, index, capsules[1]))
        world.logs.log.refresh()
        # The refusal was logged, and with it the log was witnessed: either way it is tomorrow.
        assert world.decide("ch", leaf, index, capsules[1]).shares


def test_attack_notice_cannot_be_had_in_advance() -> None:
    """A request that only its maker's copy of the log shows is not public, so its time stands."""
    with quick_folder() as folder:
        world = World(folder, notice=3_600)
        capsule = world.capsule()
        world.trustees["ch"].follower.follow()
        leaf = world.leaf([capsule])
        world.clock.advance(7_200)  # signed two hours ago, and logged only now
        index = world.append(leaf)
        with pytest.raises(RefusedError, match="public for") as caught:
            world.decide("ch", leaf, index, capsule)
        assert caught.value.code == "notice"
        again = world.append(leaf)  # a second logging does not begin anew either
        world.clock.advance(3_600)
        world.logs.log.refresh()
        assert world.decide("ch", leaf, again, capsule).shares


def test_attack_a_lost_state_dates_requests_anew() -> None:
    """A trustee whose reading of the log is deleted begins every notice again, not none."""
    with quick_folder() as folder:
        world = World(folder, notice=3_600)
        capsule = world.capsule()
        leaf, index = world.request([capsule])
        world.trustees["ch"].follower.follow()
        world.clock.advance(3_600)
        world.logs.log.refresh()
        world.trustees["ch"].close()
        for path in (world.home / "ch").glob("state.db*"):
            path.unlink()
        world.trustees["ch"] = world.trustee("ch")
        with pytest.raises(RefusedError, match="public for"):
            world.decide("ch", leaf, index, capsule)
        world.clock.advance(3_600)
        world.logs.log.refresh()
        assert world.decide("ch", leaf, index, capsule).shares


def test_attack_one_recipient_for_each_leaf(world: World) -> None:
    """What is granted under a leaf opens with the key in it, however often, after any restart."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    first = world.decide("ch", leaf, index, capsule)
    world.trustees["ch"].close()
    world.trustees["ch"] = world.trustee("ch")
    new = SigningKey.generate(), OpeningKey.generate()
    world.append(
        world.party("reader", "pixel", "research", "DE", new[0].public, opening=new[1].public)
    )
    second = world.decide("ch", leaf, index, capsule)
    assert isinstance(second, Grant)
    assert world.shares(first, leaf) == world.shares(second, leaf)
    with pytest.raises(IntegrityError):
        world.shares(second, leaf, reader="pixel")


# After a fork


def test_the_proof_of_a_fork_is_one_file_that_anyone_can_check(world: World) -> None:
    """With the log's public policy alone: no key, no state; and it freezes every other trustee."""
    request = asked(world)
    trustee = world.trustees["ch"]
    trustee.follower.follow()
    tree = world.logs.log.checkpoint().checkpoint
    forged = world.note(tree.size, bytes(32))
    with pytest.raises(IntegrityError, match="forked"):
        trustee.decide(replace(request, note=forged))
    (kept,) = trustee.evidence
    data = kept.read_bytes()
    assert kept.name == f"{digest(data)}.fork.json"
    assert [each.evidence for each in world.state().freezes()] == [digest(data)]

    policy = Policy.parse((world.public / "tlog-policy").read_bytes())
    ours, theirs = parse_evidence(data, "from a stranger")
    check_fork(ours, theirs, policy)
    stranger = Signer(ORIGIN, ed25519_key("somebody else's log"))
    text = theirs.split(b"\n\n")[0] + b"\n"
    with pytest.raises(IntegrityError):
        check_fork(ours, sign(text, [stranger]), policy)
    for place in range(0, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 1
        with contextlib.suppress(InputError, IntegrityError):  # nothing else is ever raised
            check_fork(*parse_evidence(bytes(changed), "altered"), policy)

    for name in ("is", "uy"):
        world.trustees[name].follower.follow()
        for useless in (b"", data[:-1], data.replace(b'"v":1', b'"v":9')):
            with pytest.raises((InputError, IntegrityError)):
                world.trustees[name].convict(useless)
        assert not world.trustees[name].frozen
        world.trustees[name].convict(data)
        assert world.trustees[name].evidence[0].read_bytes() == data
        assert world.trustees[name].frozen
    assert len({each.trustee for each in world.state().freezes()}) == 3


def test_attack_a_frozen_trustee_thaws_for_nobody(world: World) -> None:
    """Not by a restart, an honest log or a lost proof, and not for what it had granted before."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    assert world.decide("ch", leaf, index, capsule).shares
    world.trustees["ch"].accuse(world.note(3, bytes(32)), world.note(3, b"x" * 32))
    world.trustees["ch"].close()
    again = world.trustee("ch")
    for _ in range(2):
        with pytest.raises(RefusedError) as caught:
            again.decide(world.ask("ch", leaf, index, capsule))
        assert caught.value.code == "frozen"
        world.append(b"life goes on")
    again.close()
    shutil.rmtree(world.home / "ch" / "evidence")
    with pytest.raises(RefusedError, match="said in the log"):
        world.trustee("ch").decide(world.ask("ch", leaf, index, capsule))


def test_attack_a_purpose_that_is_not_the_capsules(world: World) -> None:
    """The policy judges the purpose in the request by the list in the car's header."""
    capsule = world.capsule(purposes=[Name("research")])
    leaf, index = world.request([capsule])
    with pytest.raises(PolicyError, match="read it for perception"):
        world.decide("ch", leaf, index, capsule)
    leaf, index = world.request([capsule], purpose=Name("research"))
    assert world.decide("ch", leaf, index, capsule).shares
