# SPDX-License-Identifier: Apache-2.0
"""Admission: what gets in, what is refused and under which code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from incamera.errors import InputError, IntegrityError
from incamera.ids import Name, Region, digest
from incamera.ledger.codec import capsule_list, encode
from incamera.ledger.entries import CapsuleEntry, ErasureEntry, PolicyEntry
from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import OpeningKey, SigningKey, key_id
from incamera.tlog import FolderFetch
from incamera.vault import RefusedError, Vault
from incamera.vault.exclusion import Exclusions
from sealed import Fleet
from world import DAY, PURPOSE, World, quick_folder
from world_tlog import START


def vault_of(world: World, **change: Any) -> Vault:
    """The vault of ``world``, as after a restart."""
    return Vault(
        world.home / "vault",
        change.pop("key", world.vault),
        change.pop("log", world.logs.log),
        FolderFetch(world.public),
        world.clock,
        **change,
    )


@pytest.fixture(scope="module")
def still() -> Iterator[tuple[World, Vault]]:
    """For refusals, which change nothing: one world for all of them."""
    with quick_folder() as folder:
        world = World(folder)
        opened = vault_of(world)
        yield world, opened
        opened.close()


@pytest.fixture(scope="module")
def busy() -> Iterator[tuple[World, Vault]]:
    """For tests that only look at what they put in themselves."""
    with quick_folder() as folder:
        world = World(folder)
        opened = vault_of(world)
        yield world, opened
        opened.close()


@pytest.fixture
def world() -> Iterator[World]:
    """A region of its own."""
    with quick_folder() as folder:
        yield World(folder)


@pytest.fixture
def vault(world: World) -> Iterator[Vault]:
    """Its vault."""
    opened = vault_of(world)
    yield opened
    opened.close()


def refusal(vault: Vault, path: Path) -> str:
    """The code under which ``vault`` refuses, and that it kept nothing."""
    with pytest.raises(RefusedError) as caught:
        vault.admit(path)
    assert f"({caught.value.code})" in str(caught.value)
    assert list(vault.find()) == []
    assert vault.orphans() == []
    return caught.value.code


def test_an_admitted_capsule_is_stored_logged_listed_and_receipted(
    busy: tuple[World, Vault],
) -> None:
    """The receipt proves the log entry, and the stored file is the capsule, byte for byte."""
    world, vault = busy
    path = world.seal()
    receipt = vault.admit(path)
    name = read_capsule(path).digest
    region = world.state().region
    assert region is not None
    proven = check_receipt(receipt, name, region, world.logs.policy)
    row = vault.row(name)
    assert row is not None
    assert (row.status, row.index, row.bytes) == ("kept", proven.index, path.stat().st_size)
    assert (row.owner, row.vehicle, row.hour) == ("ada", "car-7", "2026-11-21T14")
    assert vault.path(name).read_bytes() == path.read_bytes()
    assert vault.path(name).stat().st_mode & 0o777 == 0o600


def test_admitting_twice_logs_once(busy: tuple[World, Vault]) -> None:
    """The second receipt proves the same entry; also for another vault object."""
    world, vault = busy
    path = world.seal()
    vault.admit(path)
    size = world.logs.log.size
    world.clock.advance(60)
    again = vault_of(world).admit(path)
    assert world.logs.log.size == size
    region = world.state().region
    assert region is not None
    assert (
        check_receipt(again, read_capsule(path).digest, region, world.logs.policy).index == size - 1
    )


def test_a_receipt_can_be_asked_for_later(busy: tuple[World, Vault]) -> None:
    """Only for capsules that were admitted."""
    world, vault = busy
    path = world.seal()
    vault.admit(path)
    assert vault.receipt(read_capsule(path).digest)
    with pytest.raises(InputError):
        vault.receipt(digest(b"never"))


def test_an_altered_capsule_is_not_admitted(world: World, vault: Vault) -> None:
    """A flipped ciphertext byte, found while copying, leaves nothing behind."""
    path = world.seal(os.urandom(3 << 20))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        vault.admit(path)
    assert [p for p in (world.home / "vault" / "blobs").rglob("*") if p.is_file()] == []
    assert list(vault.find()) == []


def test_a_car_that_is_not_enrolled_is_refused(still: tuple[World, Vault]) -> None:
    """An honest capsule by an unknown key, or by somebody who is no car."""
    world, vault = still
    assert refusal(vault, world.seal(car=SigningKey.generate())) == "unenrolled"
    assert refusal(vault, world.seal(car=world.readers["acme"].signing)) == "unenrolled"


def test_a_revoked_car_is_refused(world: World, vault: Vault) -> None:
    """From the revocation on; what was admitted before keeps its receipt."""
    before, after = world.seal(), world.seal()
    vault.admit(before)
    world.revoke("car", "car-7")
    with pytest.raises(RefusedError) as caught:
        vault.admit(after)
    assert caught.value.code == "revoked"
    assert vault.admit(before)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"region": Region("cn")}, "wrong-region"),
        ({"consent": ""}, "consent-missing"),
        ({"purposes": []}, "consent-missing"),
        ({"policy": digest(b"my own policy")}, "unknown-policy"),
        ({"expires": START}, "expired"),
        ({"expires": START + 40 * DAY}, "retention"),
        ({"hour": "2027-03-01T00"}, "future"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_capsule_that_breaks_a_rule_is_refused(
    still: tuple[World, Vault], facts: dict[str, Any], code: str
) -> None:
    """Each rule has its code, and nothing is stored or logged."""
    world, vault = still
    size = world.logs.log.size
    assert refusal(vault, world.seal(**facts)) == code
    assert world.logs.log.size == size


def test_an_owner_that_nobody_knows_is_refused(
    still: tuple[World, Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody enrolled must be able to see and erase it."""
    world, vault = still
    honest = world.recipients()
    strange = type(honest)(honest.trustees, 2, OpeningKey.generate().public)
    monkeypatch.setattr(world, "recipients", lambda: strange)
    assert refusal(vault, world.seal()) == "unknown-owner"


def test_an_owner_that_left_is_refused(world: World, vault: Vault) -> None:
    """A revoked owner could no longer erase it."""
    world.revoke("owner", "ada")
    assert refusal(vault, world.seal()) == "unknown-owner"


@pytest.mark.parametrize(
    "line", ["vehicle car-7 # sold", "consent consent-1", "car", "model", "zones"]
)
def test_what_is_on_the_exclusion_list_is_refused(still: tuple[World, Vault], line: str) -> None:
    """Vehicles, consents, cars, detectors and zone sets can be excluded."""
    world, vault = still
    path = world.seal()
    header = read_capsule(path).header
    values = {
        "car": key_id(header.car_key),
        "model": header.models[0],
        "zones": header.zones,
    }
    line = f"{line} {values[line]}" if line in values else line
    (world.home / "vault" / "excluded").write_text(f"# a comment\n\n{line}\n")
    assert refusal(vault, path) == "excluded"
    (world.home / "vault" / "excluded").write_text("vehicle car-70\nconsent other\n")
    assert Exclusions.load(world.home / "vault" / "excluded").hit(header) is None
    (world.home / "vault" / "excluded").unlink()


@pytest.mark.parametrize("line", ["vehicle", "vin 1", "car 12", "vehicle a b", "\x00"])
def test_an_exclusion_list_with_an_odd_line_admits_nothing(
    still: tuple[World, Vault], line: str
) -> None:
    """It fails closed, and names the line."""
    world, vault = still
    (world.home / "vault" / "excluded").write_text(f"vehicle x\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        vault.admit(world.seal())
    (world.home / "vault" / "excluded").unlink()


def test_trustees_must_be_enrolled_with_the_keys_of_their_epochs(
    still: tuple[World, Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown trustee, an unknown epoch, another key: refused."""
    world, vault = still
    honest = world.recipients()
    first = honest.trustees[0]
    for bad, code in (
        (first._replace(name=Name("fake")), "unknown-trustee"),
        (first._replace(epoch=5), "wrong-epoch"),
        (first._replace(public=OpeningKey.generate().public), "wrong-epoch"),
    ):
        changed = type(honest)([bad, *honest.trustees[1:]], 2, honest.owner_public)
        monkeypatch.setattr(world, "recipients", lambda changed=changed: changed)
        assert refusal(vault, world.seal()) == code


def test_an_epoch_that_was_over_before_the_recording_is_refused(world: World, vault: Vault) -> None:
    """Its key may be destroyed any day: the capsule would be lost."""
    recipients = world.recipients()
    world.recipients = lambda: recipients  # type: ignore[method-assign]
    world.clock.advance(5 * DAY)
    assert refusal(vault, world.seal(hour="2027-01-18T00")) == "wrong-epoch"


def test_the_threshold_is_the_regions(
    still: tuple[World, Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of three where the region says two is refused."""
    world, vault = still
    honest = world.recipients()
    three = type(honest)(honest.trustees, 3, honest.owner_public)
    monkeypatch.setattr(world, "recipients", lambda: three)
    assert refusal(vault, world.seal()) == "threshold"


def test_no_country_may_open_alone(world: World, vault: Vault) -> None:
    """Two of the trustees in one country, where two are enough: refused."""
    key = world.trustees["is"]
    signing = world.state().party("trustee", "is")
    assert signing is not None
    assert key is not None
    world.append(world.party("trustee", "is", "notary", "CH", signing.key))
    assert refusal(vault, world.seal()) == "jurisdiction"


def test_a_capsule_erased_before_it_came_is_refused(world: World, vault: Vault) -> None:
    """An erasure in the log holds whatever the order of arrival."""
    path = world.seal()
    world.erase(read_capsule(path))
    assert refusal(vault, path) == "erased"


def test_a_vault_opens_only_with_its_regions_key(world: World) -> None:
    """Another key, and nothing would verify: refused at once."""
    with pytest.raises(InputError, match="vault key"):
        vault_of(world, key=SigningKey.generate())


def test_rows_can_be_found_by_what_they_have(world: World, vault: Vault) -> None:
    """Camera, tag, purpose, hour, owner and status; in order of the hour."""
    vault.admit(world.seal(hour="2026-11-21T15", tags=[Name("honk")], cameras=[Name("left")]))
    vault.admit(world.seal(hour="2026-11-21T09"))
    hours = [row.hour for row in vault.find()]
    assert hours == ["2026-11-21T09", "2026-11-21T15"]
    wanted: list[tuple[dict[str, Any], int]] = [
        ({"tag": "honk"}, 1),
        ({"tag": "hon"}, 0),
        ({"camera": "front"}, 1),
        ({"purpose": PURPOSE}, 2),
        ({"purpose": PURPOSE, "camera": "left"}, 1),
        ({"since": "2026-11-21T10"}, 1),
        ({"until": "2026-11-21T15"}, 2),
        ({"owner": "ada"}, 2),
        ({"owner": "eve"}, 0),
        ({"status": "kept"}, 2),
        ({"status": "erased"}, 0),
    ]
    for having, count in wanted:
        assert len(list(vault.find(**having))) == count, having
    with pytest.raises(InputError, match="tag"):
        list(vault.find(tag="x' OR 1=1 --"))


def test_a_capsule_that_was_not_admitted_has_no_path(busy: tuple[World, Vault]) -> None:
    """An InputError, not a stray file."""
    _, vault = busy
    with pytest.raises(InputError):
        vault.path(digest(b"never"))


# Entries of others


def erasure(
    world: World,
    *paths: Path,
    by: Literal["owner", "operator"] = "owner",
    key: SigningKey | None = None,
) -> bytes:
    """Of the capsules at ``paths``, signed."""
    names = tuple(sorted(read_capsule(path).digest for path in paths))
    name = "ada" if by == "owner" else ""
    entry = ErasureEntry(
        **world.facts(),
        capsules=names,
        by=by,
        name=name,
        reason="mine",
    )
    return encode(entry, key or (world.owner.signing if by == "owner" else world.operator))


@pytest.mark.parametrize("by", ["owner", "operator"])
def test_erasing_destroys_the_blob_and_all_but_the_digest(
    busy: tuple[World, Vault], by: Literal["owner", "operator"]
) -> None:
    """Logged first, then gone from disk and index, and never admitted again."""
    world, vault = busy
    path, other = world.seal(), world.seal()
    vault.admit(path)
    vault.admit(other)
    name = read_capsule(path).digest
    stored = vault.path(name)
    at = vault.erase(erasure(world, path, by=by))
    assert world.state().erased(name) is not None
    assert not stored.exists()
    row = vault.row(name)
    assert row is not None
    assert (row.status, row.owner, row.vehicle, row.hour, row.tags) == ("erased", "", "", "", ())
    with pytest.raises(RefusedError, match="erased"):
        vault.path(name)
    with pytest.raises(RefusedError, match="erased"):
        vault.admit(path)
    assert vault.erase(erasure(world, path, by=by)) == at
    assert vault.path(read_capsule(other).digest).exists()


def test_the_facts_of_an_erased_capsule_are_not_in_the_index_file(
    world: World, vault: Vault
) -> None:
    """Not in free pages and not in the write-ahead log, while the vault goes on."""
    path = world.seal(vehicle=Name("car-unmistakable"))
    vault.admit(path)
    files = list((world.home / "vault").glob("index.db*"))
    assert b"car-unmistakable" in b"".join(each.read_bytes() for each in files)
    vault.erase(erasure(world, path))
    assert b"car-unmistakable" not in b"".join(each.read_bytes() for each in files)


def test_only_the_owner_or_the_operator_erases(busy: tuple[World, Vault]) -> None:
    """Another key, another owner, an unknown capsule: nothing is logged, nothing destroyed."""
    world, vault = busy
    path = world.seal()
    vault.admit(path)
    eve = Fleet()
    world.append(
        world.party("owner", "eve", "private", "DE", eve.car.public, opening=eve.owner.public)
    )
    size = world.logs.log.size
    with pytest.raises(IntegrityError):
        vault.erase(erasure(world, path, key=eve.car))
    entry = ErasureEntry(
        **world.facts(), capsules=(read_capsule(path).digest,), by="owner", name="eve", reason=""
    )
    with pytest.raises(RefusedError, match="not-owner"):
        vault.erase(encode(entry, eve.car))
    with pytest.raises(InputError, match="admitted"):
        vault.erase(erasure(world, path, world.seal()))
    assert world.logs.log.size == size
    assert vault.path(read_capsule(path).digest).exists()


def test_a_request_is_logged_once(busy: tuple[World, Vault]) -> None:
    """The same bytes give the same index; erase takes erasures only."""
    world, vault = busy
    capsule = world.capsule()
    leaf = world.leaf([capsule])
    at = vault.submit(leaf)
    assert vault.submit(leaf) == at
    assert world.logs.log.entry(at) == leaf
    with pytest.raises(InputError, match="not an erasure"):
        vault.erase(leaf)


def test_an_entry_that_would_have_no_effect_is_not_logged(busy: tuple[World, Vault]) -> None:
    """Not the signer's to say, malformed, for another region, or reserved."""
    world, vault = busy
    capsule = world.capsule()
    entry = world.leaf([capsule])
    forged = world.leaf([capsule], key=SigningKey.generate())
    foreign = world.leaf([capsule], region=Region("cn"))
    size = world.logs.log.size
    for bad, error in (
        (forged, IntegrityError),
        (foreign, InputError),
        (entry[:-1], InputError),
        (b"", InputError),
    ):
        with pytest.raises(error):
            vault.submit(bad)
    assert world.logs.log.size == size


def test_a_capsule_entry_cannot_be_submitted(busy: tuple[World, Vault]) -> None:
    """Only admission makes one, even where the vault's own key signed it."""
    world, vault = busy
    entry = CapsuleEntry(**world.facts(), capsule=digest(b"made up"))
    with pytest.raises(RefusedError, match="reserved"):
        vault.submit(encode(entry, world.vault))


def test_a_document_must_be_public_before_its_entry(busy: tuple[World, Vault]) -> None:
    """A policy or a list that nobody can read is not logged; with the text beside it, it is."""
    world, vault = busy
    text = b"permit(principal, action, resource);"
    entry = encode(PolicyEntry(**world.facts(), policy=digest(text)), world.operator)
    with pytest.raises(RefusedError, match="unpublished"):
        vault.submit(entry)
    world.beside(f"policy/{digest(text)}.cedar", b"another text")
    with pytest.raises(InputError, match="not the text"):
        vault.submit(entry)
    (world.public / f"policy/{digest(text)}.cedar").write_bytes(text)
    assert vault.submit(entry) == world.logs.log.size - 1


def test_a_request_for_a_list_needs_the_list(busy: tuple[World, Vault]) -> None:
    """The list beside the log is the one the request names."""
    world, vault = busy
    data, named = capsule_list([world.capsule().digest])
    leaf = world.leaf(named)
    with pytest.raises(RefusedError, match="unpublished"):
        vault.submit(leaf)
    world.beside(f"list/{named.digest}", data + b"\n")
    with pytest.raises(InputError):
        vault.submit(leaf)
    world.beside(f"list/{named.digest}", data)
    assert vault.submit(leaf)


def test_every_code_of_a_refusal_is_documented_and_no_other() -> None:
    """docs/formats/capsule.md lists what the code can say."""
    root = Path(__file__).parents[3]
    page = (root / "docs" / "formats" / "capsule.md").read_text()
    section = page.partition("## Admission")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([a-z-]+)`(?=[,:| ]*)", section))
    sources = (root / "src" / "incamera" / "vault").glob("*.py")
    raised = {
        code
        for source in sources
        for code in re.findall(r'RefusedError\(\s*"([a-z-]+)"', source.read_text())
    }
    fields = {"expires", "hour", "threshold", "withdraw"}
    assert raised == documented - (fields - raised)
    assert raised >= {"erased", "not-owner", "unpublished"}
