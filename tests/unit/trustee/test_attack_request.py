# SPDX-License-Identifier: Apache-2.0
"""Attacks by whoever asks, carries the request, or holds a share: one test each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incamera.encoding import base64_text, canonical, parse_canonical
from incamera.errors import InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import Name, Region
from incamera.ledger.codec import ENTRY_TYPE, capsule_list, decode
from incamera.ledger.entries import CapsuleEntry, CapsuleList, ErasureEntry
from incamera.ledger.grant import Grant, SealedShare
from incamera.ledger.state import leaf_digest
from incamera.sealing import opening
from incamera.sealing.capsule import read_capsule
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.sealing.wrap import grant_info, wrap
from incamera.tlog.merkle import leaf_hash
from incamera.trustee import RefusedError
from world import DAY, EU, World, quick_folder, shown


def refused(world: World, code: str, name: str = "ch") -> list[str]:
    """The codes of the public refusals of trustee ``name``; ``code`` must be among them."""
    codes = [str(each.code) for each in world.state().refusals() if each.trustee == name]
    assert code in codes
    return codes


def test_attack_request_replay(world: World) -> None:
    """The same leaf logged again gives the same shares to the same key, counted once."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    first = world.decide("ch", leaf, index, capsule)
    again = world.append(leaf)
    second = world.decide("ch", leaf, again, capsule)
    assert world.shares(first, leaf) == world.shares(second, leaf)
    assert first.entries == second.entries
    state = world.state()
    assert len(list(state.grants())) == 1
    found = state.request(leaf_digest(leaf))
    assert found is not None
    assert found.index == index


def test_attack_request_replay_after_it_expired(world: World) -> None:
    """An old leaf logged anew is as old as it says: expired."""
    capsule = world.capsule()
    leaf, index = world.request([capsule], expires=world.clock.now() + 100)
    world.decide("ch", leaf, index, capsule)
    world.clock.advance(100)
    again = world.append(leaf)
    with pytest.raises(PolicyError, match="expired"):
        world.decide("ch", leaf, again, capsule)
    assert refused(world, "expired") == ["expired"]


def test_attack_share_resealed_to_another_recipient(world: World) -> None:
    """A grant opens with the key in the leaf only, and only as an answer to that leaf."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    grant = world.decide("ch", leaf, index, capsule)
    with pytest.raises(IntegrityError):
        world.shares(grant, leaf, reader="pixel")
    other, _ = world.request([capsule])
    with pytest.raises(IntegrityError):
        world.shares(grant, other)
    share = grant.shares[0]
    raw, key = leaf_hash(leaf), world.readers["acme"].opening
    with pytest.raises(IntegrityError):
        opening.open_share(share.sealed, key, raw, share.capsule_id, share.index + 1)
    with pytest.raises(IntegrityError):
        opening.open_share(share.sealed, key, raw, bytes(32), share.index)


def swapped(leaf: bytes, **change: object) -> bytes:
    """The leaf with some fields changed and the reader's signature left as it was."""
    envelope = parse_canonical(leaf, "leaf")
    payload = parse_canonical(decode(leaf, "leaf").envelope.payload, "payload")
    envelope["payload"] = base64_text(canonical(payload | change))
    return canonical(envelope)


def test_attack_recipient_key_swapped_in_transit(world: World) -> None:
    """Another recipient key in the leaf breaks the signature, logged or not."""
    capsule = world.capsule()
    thief = OpeningKey.generate()
    honest = world.leaf([capsule])
    forged = swapped(honest, recipient=base64_text(thief.public))
    index = world.append(forged)
    with pytest.raises(IntegrityError, match="signature"):
        world.decide("ch", forged, index, capsule)
    index = world.append(honest)
    request = world.ask("ch", honest, index, capsule)
    with pytest.raises(IntegrityError):
        world.trustees["ch"].decide(replace(request, leaf=forged))
    assert list(world.state().grants()) == []


def test_attack_a_request_resigned_by_somebody_else(world: World) -> None:
    """The same words under another enrolled reader's key are not that reader's words."""
    capsule = world.capsule()
    honest = world.leaf([capsule])
    payload = decode(honest, "leaf").envelope.payload
    forged = seal_envelope(payload, ENTRY_TYPE, world.readers["pixel"].signing)
    index = world.append(forged)
    with pytest.raises(IntegrityError, match="another key"):
        world.decide("ch", forged, index, capsule)


def test_attack_share_of_one_capsule_requested_under_another(world: World) -> None:
    """A capsule that the request does not name, or its share under another header, stays shut."""
    one, two = world.capsule(b"one"), world.capsule(b"two")
    leaf, index = world.request([two])
    with pytest.raises(PolicyError, match="does not name"):
        world.decide("ch", leaf, index, one)
    assert list(world.state().refusals()) == []  # nothing is wrong with the request itself
    honest = shown("ch", two)
    request = world.ask("ch", leaf, index)
    others = next(i for i, s in enumerate(two.header.shares, 1) if s.trustee == "uy")
    for evidence in (
        replace(honest, wrapped=shown("ch", one).wrapped),
        replace(honest, wrapped=two.wrapped[others - 1]),
        replace(honest, wrapped=two.wrapped[others - 1], index=others),
        replace(honest, index=others),
        replace(honest, index=0),
        replace(honest, index=200),
    ):
        with pytest.raises(IntegrityError):
            world.trustees["ch"].decide(replace(request, capsules=(evidence,)))
    uys = replace(honest, wrapped=two.wrapped[others - 1], index=others)
    with pytest.raises(IntegrityError, match="is uy's, not ch's"):
        world.trustees["ch"].decide(replace(request, capsules=(uys,)))
    assert list(world.state().grants()) == []


def test_attack_policy_swapped(world: World) -> None:
    """The policy sealed into the capsule decides; a laxer one in the request is refused."""
    lax = world.publish_policy("permit (principal, action, resource);")
    capsule = world.capsule()
    leaf, index = world.request([capsule], reader="ministry", policy=lax)
    with pytest.raises(PolicyError, match="another policy"):
        world.decide("ch", leaf, index, capsule)
    assert refused(world, "policy")


def test_attack_policy_text_swapped_on_the_server(world: World) -> None:
    """A policy file whose digest is not the header's is not read as a policy."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    world.beside(f"policy/{world.policy}.cedar", b"permit (principal, action, resource);")
    with pytest.raises(IntegrityError, match="another one"):
        world.decide("ch", leaf, index, capsule)


def test_attack_policy_never_published(world: World) -> None:
    """A capsule sealed under a policy that only its maker knew is opened under none."""
    secret = world.publish_policy("permit (principal, action, resource);", logged=False)
    capsule = world.capsule(policy=secret)
    leaf, index = world.request([capsule], policy=secret)
    with pytest.raises(PolicyError, match="never published"):
        world.decide("ch", leaf, index, capsule)


def test_attack_policy_that_fails_open(world: World) -> None:
    """A ``forbid`` that Cedar could not evaluate would permit: such a policy opens nothing."""
    text = (
        "permit (principal, action, resource);\n"
        'forbid (principal, action, resource) when { principal.office == "ministry" };'
    )
    odd = world.publish_policy(text)
    capsule = world.capsule(policy=odd)
    leaf, index = world.request([capsule], policy=odd)
    with pytest.raises(InputError, match="not a usable Cedar policy"):
        world.decide("ch", leaf, index, capsule)


@pytest.mark.parametrize(
    ("reader", "purpose"),
    [("ministry", "perception"), ("pixel", "perception"), ("club", "perception"), ("acme", "ads")],
)
def test_whom_the_policy_forbids_is_refused_in_public(
    world: World, reader: str, purpose: str
) -> None:
    """A government, a foreigner, an unlisted kind, a wrong purpose: refused, and logged once."""
    capsule = world.capsule()
    leaf, index = world.request([capsule], reader=reader, purpose=Name(purpose))
    for _ in range(2):
        with pytest.raises(PolicyError, match="does not let"):
            world.decide("ch", leaf, index, capsule)
    assert refused(world, "forbidden") == ["forbidden"]
    assert list(world.state().grants()) == []


def test_attack_a_reader_that_is_not_enrolled(world: World) -> None:
    """Neither a stranger, nor one revoked after asking, nor one whose key has changed is heard."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    stranger = world.leaf([capsule], reader="acme", key=SigningKey.generate())
    at = world.append(stranger)
    with pytest.raises(IntegrityError):
        world.decide("ch", stranger, at, capsule)
    ghost = world.leaf([capsule], reader="acme")
    del ghost
    new = SigningKey.generate()
    world.append(world.party("reader", "acme", "company", "DE", new.public))
    with pytest.raises(IntegrityError, match="another key"):
        world.decide("ch", leaf, index, capsule)
    world.revoke("reader", "acme")
    with pytest.raises(PolicyError, match="no reader acme"):
        world.decide("ch", leaf, index, capsule)
    assert refused(world, "requester") == ["requester"]


def test_attack_asking_first_and_enrolling_later(world: World) -> None:
    """A request that was void when it was logged does not come alive by a later enrolment."""
    capsule = world.capsule()
    late = SigningKey.generate()
    leaf = world.leaf([capsule], reader="acme", key=late)
    index = world.append(leaf)
    world.append(world.party("reader", "acme", "company", "DE", late.public))
    with pytest.raises(PolicyError, match="not valid when it was logged"):
        world.decide("ch", leaf, index, capsule)
    assert world.decide("ch", leaf, world.append(leaf), capsule).shares  # asked again, properly


def test_attack_a_capsule_that_is_not_in_the_log(world: World) -> None:
    """A capsule the vault never admitted is not opened, though it is well made."""
    hidden = read_capsule(world.seal())
    leaf, index = world.request([hidden])
    with pytest.raises(PolicyError, match="not in the log"):
        world.decide("ch", leaf, index, hidden)
    assert refused(world, "not-admitted")


def test_attack_a_capsule_of_a_car_that_is_not_enrolled(world: World) -> None:
    """A header signed by an unknown key, or by a key that is no car's, is not opened."""
    for key in (SigningKey.generate(), world.readers["acme"].signing):
        forged = read_capsule(world.seal(car=key))
        world.say(CapsuleEntry(**world.facts(), capsule=forged.digest), world.vault)
        leaf, index = world.request([forged])
        with pytest.raises(PolicyError, match="no enrolled car"):
            world.decide("ch", leaf, index, forged)


def test_a_sold_car_does_not_take_its_old_capsules_along(world: World) -> None:
    """What a car sealed while it was enrolled stays readable; what it seals later is not."""
    before = world.capsule()
    world.revoke("car", "car-7")
    after = world.capsule()
    leaf, index = world.request([before, after])
    assert world.decide("ch", leaf, index, before).shares
    with pytest.raises(PolicyError, match="no enrolled car"):
        world.decide("ch", leaf, index, after)


def test_attack_a_capsule_of_another_region(world: World) -> None:
    """A capsule of region ``cn`` is not opened by a trustee of ``eu``, whoever admitted it."""
    foreign = world.capsule(region=Region("cn"))
    leaf, index = world.request([foreign])
    with pytest.raises(PolicyError, match="region cn"):
        world.decide("ch", leaf, index, foreign)
    leaf = world.leaf([foreign], region=Region("cn"))
    with pytest.raises(PolicyError, match="region cn"):
        world.decide("ch", leaf, world.append(leaf), foreign)


def test_attack_an_altered_header(world: World) -> None:
    """A header with other purposes has another digest; under the old one there is no evidence."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    request = world.ask("ch", leaf, index, capsule)
    forged = capsule.envelope.replace(b'"sig":"', b'"sig":"A', 1)
    shown_forged = replace(request.capsules[0], envelope=forged)
    with pytest.raises(PolicyError, match="does not name"):
        world.trustees["ch"].decide(replace(request, capsules=(shown_forged,)))


@pytest.mark.parametrize("by", ["owner", "operator"])
def test_attack_an_erased_capsule(world: World, by: str) -> None:
    """After an erasure nobody is granted, though the reader still shows an older checkpoint."""
    capsule, other = world.capsule(), world.capsule(b"other")
    leaf, index = world.request([capsule, other])
    before = world.ask("ch", leaf, index, capsule)
    if by == "owner":
        world.erase(capsule)
    else:
        entry = ErasureEntry(
            **world.facts(), capsules=(capsule.digest,), by="operator", name="", reason="law"
        )
        world.say(entry, world.operator)
    with pytest.raises(PolicyError, match="erased"):
        world.trustees["ch"].decide(before)
    assert refused(world, "erased")
    with pytest.raises(PolicyError, match="erased"):
        world.decide("ch", leaf, index, capsule, other)
    assert world.decide("ch", leaf, index, other).shares


def test_attack_clock_tricks_by_the_requester(world: World) -> None:
    """What the request says of its own time changes nothing: witness time rules."""
    capsule = world.capsule(expires=world.clock.now() + 500)
    for claimed in (0, world.clock.now() + 10 * DAY):
        leaf, index = world.request([capsule], time=claimed, expires=world.clock.now() + 300)
        assert world.decide("ch", leaf, index, capsule).shares
    late, at = world.request([capsule], time=0)
    world.clock.advance(300)
    world.logs.log.refresh()
    with pytest.raises(PolicyError, match="the request expired"):
        world.decide("ch", leaf, index, capsule)
    assert world.decide("ch", late, at, capsule).shares
    world.clock.advance(200)
    world.logs.log.refresh()
    with pytest.raises(PolicyError, match="capsule expired"):
        world.decide("ch", late, at, capsule)
    assert refused(world, "expired") == ["expired", "capsule-expired"]


def test_attack_a_trustee_with_a_slow_clock(world: World) -> None:
    """A trustee whose own clock was set back refuses a world that is ahead of it."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    slow = world.trustee("ch", clock=type(world.clock)(world.clock.now() - 31))
    with pytest.raises(IntegrityError, match="future"):
        slow.decide(world.ask("ch", leaf, index, capsule))


def test_the_public_has_its_notice() -> None:
    """A request is granted only once it was public for the region's notice period."""
    with quick_folder() as folder:
        world = World(folder, notice=3_600)
        capsule = world.capsule()
        leaf, index = world.request([capsule], time=0)  # "I asked long ago"
        with pytest.raises(RefusedError, match="public for 3600 s") as caught:
            world.decide("ch", leaf, index, capsule)
        assert caught.value.hint is not None
        world.clock.advance(3_599)
        world.logs.log.refresh()
        with pytest.raises(PolicyError, match="public for"):
            world.decide("ch", leaf, index, capsule)
        world.clock.advance(1)
        world.logs.log.refresh()
        assert world.decide("ch", leaf, index, capsule).shares
        with pytest.raises(PolicyError, match="public for"):  # it reads the log only now
            world.decide("is", leaf, index, capsule)
        assert refused(world, "notice") == ["notice"]


def test_a_reader_has_a_quota_for_each_day() -> None:
    """More capsules than a day allows are refused; each counts once; a day later more."""
    with quick_folder() as folder:
        world = World(folder, quota=3)
        capsules = [world.capsule(bytes([i])) for i in range(5)]
        leaf, index = world.request(capsules)
        world.decide("ch", leaf, index, *capsules[:2])
        with pytest.raises(PolicyError, match="may have 3 a day"):
            world.decide("ch", leaf, index, *capsules[2:4])
        world.decide("ch", leaf, index, *capsules[:3])
        world.decide("ch", leaf, index, *capsules[:3])
        with pytest.raises(PolicyError, match="may have 3 a day"):
            world.decide("ch", leaf, index, capsules[3])
        other, at = world.request([capsules[4]])
        with pytest.raises(PolicyError, match="may have 3 a day"):
            world.decide("ch", other, at, capsules[4])
        world.clock.advance(DAY)
        world.logs.log.refresh()
        assert world.decide("ch", leaf, index, *capsules[3:]).shares
        assert sum(each.count for each in world.state().grants()) == 5


def test_attack_a_lying_trustee(world: World) -> None:
    """A trustee that seals another share to the reader is found out by name before decrypting."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    honest = world.decide("uy", leaf, index, capsule)
    grant = world.decide("ch", leaf, index, capsule)
    share = grant.shares[0]
    info = grant_info(leaf_hash(leaf), share.capsule_id, share.index)
    lie = wrap(bytes(32), world.readers["acme"].opening.public, info)
    keys = world.trustees["ch"].keys.signing
    lied = Grant.make(
        grant.request,
        grant.trustee,
        (SealedShare(share.capsule, share.capsule_id, share.index, lie),),
        grant.entries,
        keys,
    )
    opened = Grant.open(lied.envelope, keys.public, grant.request)
    found = world.shares(honest, leaf) | world.shares(opened, leaf)
    with pytest.raises(IntegrityError, match="from ch"):
        opening.open_capsule(capsule.path, found, world.home / "out")
    assert not (world.home / "out").exists()


def test_attack_a_grant_altered_or_for_another_request(world: World) -> None:
    """A grant is believed under the trustee's key and for the reader's own request only."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    grant = world.decide("ch", leaf, index, capsule)
    public, name = world.trustees["ch"].keys.signing.public, leaf_digest(leaf)
    assert Grant.open(grant.envelope, public, name) == grant
    with pytest.raises(IntegrityError, match="another request"):
        Grant.open(grant.envelope, public, leaf_digest(b"other"))
    with pytest.raises(IntegrityError):
        Grant.open(grant.envelope, world.trustees["is"].keys.signing.public, name)
    for place in range(0, len(grant.envelope), 97):
        data = bytearray(grant.envelope)
        data[place] ^= 1
        with pytest.raises((InputError, IntegrityError)):
            Grant.open(bytes(data), public, name)


def test_more_capsules_than_fit_a_request_come_by_a_list(world: World) -> None:
    """A list beside the log is read by its digest; a missing or altered list opens nothing."""
    capsules = [world.capsule(bytes([i])) for i in range(3)]
    data, named = capsule_list([each.digest for each in capsules[:2]])
    leaf, index = world.request(named)
    with pytest.raises(UnavailableError):
        world.decide("ch", leaf, index, capsules[0])
    world.beside(f"list/{named.digest}", data[:-1] + b"x")
    with pytest.raises(InputError, match="not the file"):
        world.decide("ch", leaf, index, capsules[0])
    world.beside(f"list/{named.digest}", data)
    assert len(world.decide("ch", leaf, index, *capsules[:2]).shares) == 2
    with pytest.raises(PolicyError, match="does not name"):
        world.decide("ch", leaf, index, capsules[2])
    lied = CapsuleList(named.digest, named.length + 65, named.count + 1)
    leaf, index = world.request(lied)
    with pytest.raises(InputError, match="not the file"):
        world.decide("ch", leaf, index, capsules[0])


def test_attack_an_entry_of_another_type_as_a_request(world: World) -> None:
    """A capsule entry, or any other bytes in the log, is no request."""
    capsule = world.capsule()
    index = world.logs.log.size - 1
    entry = world.logs.log.entry(index)
    with pytest.raises(InputError, match="a capsule entry is none"):
        world.decide("ch", entry, index, capsule)
    index = world.append(b"rubbish")
    with pytest.raises(InputError):
        world.decide("ch", b"rubbish", index, capsule)


def test_regions_do_not_mix(world: World) -> None:
    """The world's own region is the one that all of the above was about."""
    region = world.state().region
    assert region is not None
    assert region.region == EU
