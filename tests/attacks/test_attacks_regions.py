# SPDX-License-Identifier: Apache-2.0
"""Crossing regions: what is of one region is refused by every party of another.

Two regions with everything of their own: log, witnesses, trustees, operator, cars, readers. The
attacker is region ``cn``, whose every key is real; what it brings is refused in ``eu`` as it would
be the other way round.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from incamera.audit import audit
from incamera.cli.card import Card, read_card
from incamera.cli.party import PartyPlan, make_party
from incamera.cli.url_desk import UrlDesk
from incamera.errors import Error, IntegrityError, PolicyError
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry, ErasureEntry
from incamera.ledger.follower import Follower
from incamera.ledger.grant import Grant
from incamera.ledger.manifest import Manifest
from incamera.ledger.policies import COUNTRIES, default_policy
from incamera.ledger.receipt import check_receipt
from incamera.ledger.request import GrantRequest
from incamera.ledger.rows import Party
from incamera.ledger.state import State, leaf_digest
from incamera.sealing import opening
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.seal import Recipients, seal
from incamera.service.clients import Told
from incamera.tlog import FolderFetch, LogReader
from incamera.trustee import RefusedError as TrusteeRefusal
from incamera.trustee.cedar import permits
from incamera.vault import RefusedError, Row, Vault
from sealed import FACTS
from world import DAY, World, quick_folder, shown


@dataclass
class Regions:
    """Ours, theirs, and our vault."""

    eu: World
    cn: World
    vault: Vault

    def theirs(self) -> Capsule:
        """A capsule that is right in every way, in their region."""
        return self.cn.capsule()


@pytest.fixture(scope="module")
def regions() -> Iterator[Regions]:
    """Two regions, whose parties are all different, for tests that leave them as they are."""
    with quick_folder() as folder:
        eu, cn = World(folder / "eu"), World(folder / "cn", region="cn")
        vault = Vault(eu.home / "vault", eu.vault, eu.logs.log, FolderFetch(eu.public), eu.clock)
        yield Regions(eu, cn, vault)
        vault.close()


def refused_by_vault(regions: Regions, path: Path) -> str:
    """The code, and that nothing was kept."""
    with pytest.raises(RefusedError) as caught:
        regions.vault.admit(path)
    assert list(regions.vault.find()) == []
    return caught.value.code


def said(regions: Regions, entry: bytes) -> str:
    """What our log's readers make of an entry."""
    index = regions.eu.append(entry)
    found = [each for each in regions.eu.state().findings() if each.index == index]
    assert [each.kind for each in found] == ["bad"]
    return found[0].text


# A capsule


def test_our_vault_refuses_a_capsule_of_theirs(regions: Regions) -> None:
    """As their car sealed it; and as one of our cars might, for them."""
    assert refused_by_vault(regions, regions.cn.seal()) == "wrong-region"
    ours = regions.eu.seal(region=Region("cn"))
    assert refused_by_vault(regions, ours) == "wrong-region"


def test_our_vault_refuses_what_is_said_to_be_ours_and_opens_with_their_trustees(
    regions: Regions,
) -> None:
    """A car of ours that seals to their trustees, or under their policy, exports nothing."""
    eu, cn = regions.eu, regions.cn
    facts = replace(FACTS, policy=eu.policy, expires=eu.clock.now() + DAY)
    abroad = Recipients(cn.recipients().trustees, 2, eu.owner.opening.public)
    path = eu.home / "abroad.capsule"
    seal(io.BytesIO(b"a clip"), path, facts=facts, car=eu.car, recipients=abroad)
    assert refused_by_vault(regions, path) == "wrong-epoch"
    assert refused_by_vault(regions, eu.seal(policy=cn.policy)) == "unknown-policy"


def test_our_log_takes_no_entry_of_theirs(regions: Regions) -> None:
    """Nor one that is signed by a key of ours but says their region."""
    capsule = regions.theirs()
    facts = regions.cn.facts()
    entry = CapsuleEntry(**facts, capsule=capsule.digest)
    assert "for region cn" in said(regions, encode(entry, regions.cn.vault))
    assert "for region cn" in said(regions, encode(entry, regions.eu.vault))
    leaf, _ = regions.cn.request([capsule])
    assert "for region cn" in said(regions, leaf)
    erasure = ErasureEntry(**facts, capsules=(capsule.digest,), by="owner", name="ada", reason="")
    assert "for region cn" in said(regions, encode(erasure, regions.cn.owner.signing))


def test_our_trustees_grant_no_capsule_of_theirs_even_if_our_vault_logged_it(
    regions: Regions,
) -> None:
    """A lying vault puts it into our log: each trustee reads the header, and refuses in public."""
    eu, capsule = regions.eu, regions.theirs()
    eu.say(CapsuleEntry(**eu.facts(), capsule=capsule.digest), eu.vault)
    leaf, index = eu.request([capsule])
    for name in ("ch", "is", "uy"):
        with pytest.raises(TrusteeRefusal) as caught:
            eu.decide(name, leaf, index, capsule)
        assert caught.value.code == "region"


def test_our_trustees_answer_no_request_from_their_log(regions: Regions) -> None:
    """Their checkpoint is signed by nobody whom ours believe."""
    capsule = regions.theirs()
    leaf, index = regions.cn.request([capsule])
    asked = regions.cn.ask("ch", leaf, index, capsule)
    with pytest.raises((IntegrityError, PolicyError)):
        regions.eu.trustees["ch"].decide(asked)


# A share


def test_our_trustees_open_no_share_of_theirs(regions: Regions) -> None:
    """Shown in the place of its own, it is not the share that the header binds."""
    eu, theirs = regions.eu, regions.theirs()
    capsule = eu.capsule()
    leaf, index = eu.request([capsule])
    asked = eu.ask("ch", leaf, index, capsule)
    evidence = replace(shown("ch", capsule), wrapped=shown("ch", theirs).wrapped)
    swapped = GrantRequest(asked.leaf, asked.index, asked.note, asked.proof, (evidence,))
    with pytest.raises(IntegrityError):
        eu.trustees["ch"].decide(swapped)


def test_our_reader_takes_no_grant_and_no_share_of_their_trustees(regions: Regions) -> None:
    """Neither is the grant's signature of a trustee of ours, nor does the share open."""
    eu, cn = regions.eu, regions.cn
    capsule = cn.capsule()
    leaf, index = cn.request([capsule])
    grant = cn.decide("ch", leaf, index, capsule)
    party = eu.state().party("trustee", "ch")
    assert party is not None
    with pytest.raises(Error):
        Grant.open(grant.envelope, party.key, leaf_digest(leaf))
    share, raw = grant.shares[0], bytes.fromhex(leaf_digest(leaf))
    with pytest.raises(IntegrityError):
        opening.open_share(
            share.sealed, eu.readers["acme"].opening, raw, share.capsule_id, share.index
        )


# A receipt, a catalogue row, a checkpoint


def test_our_car_keeps_its_copy_on_a_receipt_of_theirs(regions: Regions) -> None:
    """Under our region's keys and our log's policy their vault's receipt proves nothing."""
    cn = regions.cn
    vault = Vault(cn.home / "vault", cn.vault, cn.logs.log, FolderFetch(cn.public), cn.clock)
    path = cn.seal()
    receipt = vault.admit(path)
    vault.close()
    name, ours = read_capsule(path).digest, regions.eu.state().region
    home = cn.state().region
    assert ours is not None
    assert home is not None
    assert check_receipt(receipt, name, home, cn.logs.policy).capsule == name
    for founding, policy in (
        (ours, regions.eu.logs.policy),
        (replace(ours, vault_key=home.vault_key), regions.eu.logs.policy),
        (replace(home, region=Region("eu")), cn.logs.policy),
        (home, regions.eu.logs.policy),
    ):
        with pytest.raises(IntegrityError):
            check_receipt(receipt, name, founding, policy)


class LyingVault:
    """A vault that lists, as if it were kept here, what lies in another region."""

    url = "http://vault.example"

    def __init__(self, row: Row) -> None:
        self._row = row

    def rows(self, **having: str | None) -> list[Row]:
        """Their row."""
        del having
        return [self._row]

    def region(self) -> Told:
        """Never asked: the log is at hand."""
        raise AssertionError


def test_our_reader_is_shown_no_catalogue_row_of_theirs(regions: Regions, tmp_path: Path) -> None:
    """What our log never admitted is not listed, and so not asked for, whatever a vault says."""
    eu, theirs = regions.eu, regions.theirs()
    ours = eu.capsule()
    card = make_party(
        tmp_path, PartyPlan("reader", Name("acme"), Name("company"), "DE", "", None), eu.clock
    )
    assert read_card(tmp_path)[0] == card
    (tmp_path / "tlog-policy").write_bytes(eu.logs.policy.text)

    def rows(capsule: Capsule) -> list[Digest]:
        desk = desk_at(tmp_path, LyingVault(row_of(capsule)), card, eu)
        return [each.digest for each in desk.rows(status="kept")]

    assert rows(ours) == [ours.digest]
    assert rows(theirs) == []


def desk_at(folder: Path, vault: LyingVault, card: Card, world: World) -> UrlDesk:
    """A reader's desk before a vault, reading the log from its folder."""
    desk = UrlDesk(vault, folder, card, ca=None)  # type: ignore[arg-type]
    desk.__dict__["fetch"] = FolderFetch(world.public)
    desk.clock = world.clock
    return desk


def row_of(capsule: Capsule) -> Row:
    """A row as a vault lists it."""
    header = capsule.header
    return Row(
        digest=capsule.digest,
        index=1,
        status="kept",
        owner="ada",
        vehicle=header.vehicle,
        hour=header.hour,
        duration=header.duration,
        cameras=tuple(header.cameras),
        tags=tuple(header.tags),
        purposes=tuple(header.purposes),
        expires=header.expires,
        bytes=1,
    )


def test_our_parties_follow_no_log_of_theirs(regions: Regions) -> None:
    """A region's log is known by its keys: under another's policy nothing in it is believed."""
    reader = LogReader(FolderFetch(regions.cn.public), regions.eu.logs.policy)
    state = State()
    with pytest.raises(IntegrityError):
        Follower(reader, state, regions.eu.clock).follow()
    assert state.size == 0


def test_our_auditor_finds_what_is_theirs_among_what_is_ours(tmp_path: Path) -> None:
    """A capsule of theirs in our store, a dataset of theirs shown as ours, our log's policy."""
    eu, cn = World(tmp_path / "eu"), World(tmp_path / "cn", region="cn")
    theirs = cn.capsule()
    place = tmp_path / "blobs" / theirs.digest[:2] / theirs.digest
    place.parent.mkdir(parents=True)
    place.write_bytes(theirs.path.read_bytes())
    leaf, index = cn.request([theirs])
    manifest = Manifest(
        region=Region("cn"),
        time=cn.clock.now(),
        reader=Name("acme"),
        request=leaf_digest(leaf),
        index=index,
        capsules=(theirs.digest,),
        grants=(),
        files=(),
        reports=(),
    )
    dataset = tmp_path / "dataset" / "manifest.json"
    dataset.parent.mkdir()
    dataset.write_bytes(manifest.seal(cn.readers["acme"].signing))
    fetch = FolderFetch(eu.public)
    policy = fetch("tlog-policy")
    report = audit(fetch, policy, eu.clock, blobs=tmp_path / "blobs", datasets=[dataset])
    assert not report.ok
    assert any(theirs.digest in each.where for each in report.findings)
    assert str(dataset) in {each.where for each in report.findings if each.severity == "error"}
    eu.say(CapsuleEntry(**eu.facts(), capsule=theirs.digest), eu.vault)
    report = audit(fetch, policy, eu.clock, blobs=tmp_path / "blobs")
    assert "is of region cn, not eu" in {each.what for each in report.findings}
    assert not audit(FolderFetch(cn.public), policy, eu.clock).ok


# A reader abroad


@pytest.mark.parametrize("region", sorted(COUNTRIES))
def test_the_default_policy_of_each_region_refuses_a_reader_abroad(region: str) -> None:
    """By the country of its enrolment: a view from abroad counts as an export."""
    text = default_policy(region)
    header: Any = replace(FACTS, region=Region(region))  # what the policy looks at
    abroad = {"KP", "HK", "MO", "TW", *(c for each in COUNTRIES.values() for c in each)}

    def reads(country: str) -> bool:
        reader = Party("reader", Name("lab"), Name("research"), country, b"", b"", 1)
        return permits(text, reader, Region(region), digest(b"c"), header, "perception")

    assert all(reads(each) for each in COUNTRIES[region])
    assert not any(reads(each) for each in abroad - set(COUNTRIES[region]))


def test_a_reader_abroad_is_refused_by_every_trustee(regions: Regions) -> None:
    """Enrolled, but as sitting in another country: in public, and by each on its own."""
    eu = regions.eu
    capsule = eu.capsule()
    leaf, index = eu.request([capsule], reader="pixel")
    for name in ("ch", "is", "uy"):
        with pytest.raises(TrusteeRefusal) as caught:
            eu.decide(name, leaf, index, capsule)
        assert caught.value.code == "forbidden"
    told = {each.trustee for each in eu.state().refusals(leaf_digest(leaf))}
    assert told == {"ch", "is", "uy"}
