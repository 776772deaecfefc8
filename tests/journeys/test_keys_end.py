# SPDX-License-Identifier: Apache-2.0
"""Keys that end: after retention nobody but the owner opens, not even all parties together."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from incamera.cli.audit import run as audit
from incamera.cli.car import car_home
from incamera.cli.found import DAY, EPOCH_DAYS, found
from incamera.cli.home import Home
from incamera.cli.init import plan_of
from incamera.cli.main import cli
from incamera.clock import FixedClock, SystemClock
from incamera.errors import Error, IntegrityError, UnavailableError
from incamera.ids import Name
from incamera.ingest.home import present_trustees
from incamera.ledger.entries import ErasureEntry, RevokeEntry
from incamera.ledger.request import CapsuleEvidence, GrantRequest, build_request
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import OpeningKey
from incamera.sealing.opening import open_as_owner, open_capsule
from incamera.sealing.seal import Recipients, seal
from incamera.sealing.wrap import unwrap
from incamera.tlog.proof import Proof
from incamera.trustee import RefusedError
from sealed import FACTS
from world_tlog import START

RETENTION = 30
CLIP = b"thirty seconds of road" * 500


def region(root: Path, start: int = START) -> Home:
    """A home whose capsules are kept for thirty days, with the clock in hand."""
    clock = FixedClock(start)
    found(root, plan_of("eu", retention=RETENTION), clock)
    return Home(root, clock)


def advance(home: Home, days: float) -> None:
    """Let time pass."""
    assert isinstance(home.clock, FixedClock)
    home.clock.advance(round(days * DAY))


def put_in(home: Home) -> Capsule:
    """Seal a clip as the home's car does, and have the vault admit it."""
    car, now = car_home(home), home.clock.now()
    facts = replace(
        FACTS,
        policy=car.policy,
        consent=car.consent,
        purposes=car.purposes,
        hour="2027-01-15T08",
        expires=now + RETENTION * DAY,
    )
    path = home.paths.root.parent / "clip.capsule"
    recipients = Recipients(car.trustees, car.region.threshold, car.owner)
    seal(io.BytesIO(CLIP), path, facts=facts, recipients=recipients, car=car.key)
    capsule = read_capsule(path)
    home.vault.admit(path)
    path.unlink()
    return read_capsule(home.vault.path(capsule.digest))


def ask(home: Home, capsule: Capsule) -> list[Error | None]:
    """Ask every trustee for its share, as an enrolled reader; None where it was granted."""
    home.enrol_reader("acme", "company", "DE")
    signing, opening = home.reader_keys("acme")
    now = home.clock.now()
    leaf = build_request(
        region=home.settings.region,
        reader=Name("acme"),
        capsules=[capsule.digest],
        purpose=Name("driver-assistance"),
        policy=capsule.header.policy,
        expires=now + DAY,
        recipient=opening.public,
        time=now,
        key=signing,
    )
    index = home.vault.submit(leaf)
    answers: list[Error | None] = []
    for number, share in enumerate(capsule.header.shares, start=1):
        proof = Proof.parse(home.log.proof(index), "proof")
        shown = CapsuleEvidence(capsule.envelope, capsule.wrapped[number - 1], number)
        trustee = home.trustee(share.trustee)
        try:
            trustee.decide(GrantRequest(leaf, index, proof.note, tuple(proof.hashes), (shown,)))
            answers.append(None)
        except Error as error:
            answers.append(error)
        finally:
            trustee.close()
    return answers


def all_keys(root: Path) -> list[OpeningKey]:
    """Every opening key that lies anywhere in the home, but not the owner's."""
    keys = []
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.is_relative_to(root / "owner"):
            continue
        for text in re.findall(rb"INCAMERA-OPENING-KEY-1 [A-Za-z0-9+/=]+", path.read_bytes()):
            copy = root.parent / "found.key"
            copy.unlink(missing_ok=True)
            copy.write_bytes(text + b"\n")
            copy.chmod(0o600)
            keys.append(OpeningKey.load(copy))
    return keys


def shares_opened(root: Path, capsule: Capsule) -> dict[int, bytes]:
    """What all keys of all parties together open: every key against every share."""
    opened = {}
    for key in all_keys(root):
        for number, wrapped in enumerate(capsule.wrapped, start=1):
            try:
                opened[number] = unwrap(wrapped, key, capsule.header.share_info(number))
            except IntegrityError:
                continue
    return opened


def seeds(root: Path) -> list[bytes]:
    """The secrets of the trustees' epoch keys, as they lie in their files, and raw."""
    found_seeds = []
    for path in root.glob("trustee/*/epochs/*.key"):
        text = path.read_bytes().split()[1]
        found_seeds += [text, text[:40]]
    return found_seeds


def tended(home: Home) -> None:
    """What runs daily."""
    for name in home.settings.trustees:
        trustee = home.trustee(Name(name))
        trustee.tend()
        trustee.close()


def test_after_retention_nobody_but_the_owner_opens(tmp_path: Path) -> None:
    """All folders of all parties, every key against every share: at first enough, later none.

    Each trustee refuses with ``epoch-ended``; the log says that each key is destroyed; the secrets
    stand in no file any more; the owner opens with the own key; an audit finds nothing wrong.
    """
    home = region(tmp_path / "home")
    capsule = put_in(home)
    assert ask(home, capsule) == [None, None, None]
    together = shares_opened(home.paths.root, capsule)
    assert sorted(together) == [1, 2, 3]
    open_capsule(capsule.path, together, tmp_path / "conspired")
    assert (tmp_path / "conspired").read_bytes() == CLIP
    secrets = seeds(home.paths.root)
    assert len(secrets) == 6

    advance(home, EPOCH_DAYS + RETENTION)
    home.log.refresh()
    tended(home)
    assert sorted(shares_opened(home.paths.root, capsule)) == [1, 2, 3]  # its last second
    advance(home, 1)
    home.log.refresh()
    tended(home)
    answers = ask(home, capsule)
    assert all(isinstance(each, RefusedError) for each in answers)
    assert [getattr(each, "code", "") for each in answers] == ["epoch-ended"] * 3
    assert shares_opened(home.paths.root, capsule) == {}
    assert all_keys(home.paths.root)  # the next epoch's, and the reader's
    for path in home.paths.root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(secret in data for secret in secrets), path
    state = home.state()
    for share in capsule.header.shares:
        assert state.destroyed(share.trustee, share.epoch) is not None
    key = OpeningKey.load(home.paths.owner / "opening.key")
    open_as_owner(home.vault.path(capsule.digest), key, tmp_path / "mine")
    assert (tmp_path / "mine").read_bytes() == CLIP
    assert audit(home.paths).ok


def test_a_car_seals_to_the_newest_key_and_not_below_the_threshold(tmp_path: Path) -> None:
    """One trustee asleep is left out; with two asleep a car refuses, and says what to do."""
    home = region(tmp_path / "home")
    names = [Name(each) for each in home.settings.trustees]
    now, state = home.clock.now(), home.state()
    assert [each.epoch for each in present_trustees(state, names, 2, now)] == [1, 1, 1]
    advance(home, EPOCH_DAYS - 3)
    home.log.refresh()
    for name in names[:2]:
        trustee = home.trustee(name)
        assert trustee.tend().announced == (2,)
        trustee.close()
    advance(home, 2.5)  # within the overlap: the newer key
    now, state = home.clock.now(), home.state()
    assert [each.epoch for each in present_trustees(state, names, 2, now)] == [2, 2, 1]
    advance(home, 1)  # the third has ended
    now = home.clock.now()
    assert [each.name for each in present_trustees(state, names, 2, now)] == names[:2]
    with pytest.raises(UnavailableError, match=str(names[2])) as caught:
        present_trustees(state, names, 3, now)
    assert "tend" in (caught.value.hint or "")
    home.say(
        RevokeEntry(
            region=home.settings.region, time=now, role="trustee", name=names[0], reason="left"
        )
    )
    with pytest.raises(UnavailableError, match=str(names[0])):
        present_trustees(home.state(), names, 2, now)


def test_a_home_tends_its_trustees(tmp_path: Path) -> None:
    """The verb, run by hand or daily: what is due, in words and as JSON; then nothing."""
    past = SystemClock().now() - (EPOCH_DAYS + RETENTION + 2) * DAY
    root = tmp_path / "home"
    region(root, past)
    first = CliRunner().invoke(cli, ["tend", "--home", str(root), "--json"])
    assert first.exit_code == 0, first.output
    done = json.loads(first.stdout)["trustees"]
    assert [(each["destroyed"], each["logged"], each["announced"]) for each in done] == [
        ([1], [1], [2])
    ] * 3
    again = CliRunner().invoke(cli, ["tend", "--home", str(root)])
    assert again.exit_code == 0
    assert again.stdout.count("nothing was due") == 3
    unknown = CliRunner().invoke(cli, ["tend", "--home", str(root), "--trustee", "nobody"])
    assert isinstance(unknown.exception, Error)


def test_a_home_whose_trustee_fails_tends_the_others(tmp_path: Path) -> None:
    """One folder without its key: the others are tended, and the exit code tells."""
    root = tmp_path / "home"
    home = region(root, SystemClock().now() - (EPOCH_DAYS - 1) * DAY)
    (home.paths.trustee(home.settings.trustees[0]) / "signing.key").unlink()
    told = CliRunner().invoke(cli, ["tend", "--home", str(root), "--json"])
    assert told.exit_code == 3
    first, *others = json.loads(told.stdout)["trustees"]
    assert "no such key file" in first["error"]["message"]
    assert [each["announced"] for each in others] == [[2], [2]]


def test_a_home_put_back_from_a_backup_decides_nothing_on_what_it_forgot(tmp_path: Path) -> None:
    """Log, witness and trustee, each put back as it was before an erasure.

    The log's own state is refused; a witness recalls what it cosigned; a trustee reads on. With
    the public folder put back as well, the witnesses still know: nothing is granted.
    """
    home = region(tmp_path / "home")
    root = home.paths.root
    capsule = put_in(home)
    assert ask(home, capsule) == [None, None, None]
    clock = home.clock
    saved = tmp_path / "saved"
    shutil.copytree(root, saved)
    home.say(
        ErasureEntry(
            region=home.settings.region,
            time=clock.now(),
            capsules=(capsule.digest,),
            by="operator",
            name="",
            reason="a court said so",
        )
    )
    for part in (["trustee"], ["witness/witness-1"], ["trustee", "witness/witness-1"]):
        for name in part:
            shutil.rmtree(root / name)
            shutil.copytree(saved / name, root / name)
        again = Home(root, clock)
        codes = [getattr(each, "code", "") for each in ask(again, capsule)]
        assert codes == ["erased"] * 3
    for name in ("log", "public", "vault", "trustee"):
        shutil.rmtree(root / name)
        shutil.copytree(saved / name, root / name)
    late = Home(root, clock)
    trustee = late.trustee(Name(late.settings.trustees[0]))
    with pytest.raises(UnavailableError, match=r"witness-\d has seen"):
        trustee.tend()
    trustee.close()
    with pytest.raises(IntegrityError, match="this log only knows"):
        late.log.append([b"on the old tree"])
