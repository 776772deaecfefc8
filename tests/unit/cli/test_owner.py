# SPDX-License-Identifier: Apache-2.0
"""What an owner sees, takes along and ends: in a home, with clips of a few kilobytes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))  # for the car of the benches

from bench.apart.clips import Sealer
from incamera.cli.found import found
from incamera.cli.home import Home
from incamera.cli.home_desk import HomeDesk
from incamera.cli.init import plan_of
from incamera.cli.main import _run
from incamera.cli.own.certificate import check_certificate
from incamera.cli.own.meant import Meant
from incamera.cli.own.proofs import open_proof
from incamera.clock import FixedClock, SystemClock
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.consent import Consent
from incamera.ledger.entries import CapsuleEntry
from incamera.ledger.rights import consent_digest
from incamera.sealing.keys import SigningKey
from incamera.tlog.policy import Policy
from incamera.vault import RefusedError
from world import DAY, quick_folder

Owner = Callable[..., tuple[int, dict[str, Any]]]


def sealer_of(home: Home) -> Sealer:
    """The car of a home."""
    key = SigningKey.load(home.paths.car / "signing.key")
    return Sealer.of(key, Name("car"), home.state(), home.clock.now())


def admitted(home: Home, folder: Path, count: int) -> list[Digest]:
    """That many clips, sealed and taken in."""
    sealer, names = sealer_of(home), []
    for number in range(count):
        path = folder / f"{number}.capsule"
        names.append(sealer.seal(path))
        home.vault.admit(path)
    return sorted(names)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A home with three clips, all asked for by a reader and granted."""
    with quick_folder() as folder:
        found(folder / "home", plan_of("eu"), SystemClock())
        home = Home(folder / "home")
        admitted(home, folder, 3)
        home.vault.close()
        assert _run(["request", "--home", str(folder / "home"), "--reader", "lab"]) == 0
        assert _run(["grant", "--home", str(folder / "home")]) == 0
        yield folder / "home"


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "home"))


@pytest.fixture
def owner(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Owner:
    """Runs ``incamera owner ... --home HOME --json``; exit code and document."""
    monkeypatch.chdir(root.parent)

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        try:
            code = _run(["owner", *words, "--home", str(root), "--json"])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, json.loads(capsys.readouterr().out)

    return run


def capsules(listed: dict[str, Any]) -> list[str]:
    """The digests in a list."""
    return sorted(each["capsule"] for drive in listed["drives"] for each in drive["capsules"])


def test_the_owner_sees_what_is_kept_and_who_read_it(owner: Owner) -> None:
    """By drive; each request that names a clip, with what became of it."""
    code, told = owner("list")
    assert code == 0
    (drive,) = told["drives"]
    assert (drive["vehicle"], drive["seconds"], drive["cameras"]) == ("car", 3, ["front"])
    assert len(drive["capsules"]) == 3
    (read,) = told["reads"]
    assert (read["reader"], read["kind"], len(read["capsules"])) == ("lab", "research", 3)
    assert len(read["granted"]) == 3
    assert drive["reads"] == [read["request"]]


def test_an_export_has_everything_and_its_proofs(owner: Owner, root: Path) -> None:
    """Each file is the one that the manifest says, each proof holds, and no trustee was asked."""
    shutil.rmtree(root / "trustee")
    code, done = owner("export", "mine")
    assert (code, done["clips"], done["damaged"]) == (0, 3, [])
    out = root.parent / "mine"
    manifest = json.loads((out / "manifest.json").read_text())
    policy = Policy.parse((out / "tlog-policy").read_bytes())
    for each in manifest["capsules"]:
        for file in each["files"]:
            data = (out / each["folder"] / file["path"]).read_bytes()
            assert (digest(data), len(data)) == (file["digest"], file["length"])
        assert digest((out / each["folder"] / "header.json").read_bytes()) == each["capsule"]
        entry = open_proof((out / each["proof"]).read_bytes(), policy, "it").signed.entry
        assert isinstance(entry, CapsuleEntry)
        assert entry.capsule == each["capsule"]
    (read,) = manifest["reads"]
    for path in read["proofs"]:
        open_proof((out / path).read_bytes(), policy, path)
    assert len(read["proofs"]) == 4  # the request and three grants
    page = (out / "index.html").read_text()
    assert "http" not in page
    assert "<script" not in page


def test_an_export_goes_on_where_it_stopped(owner: Owner, root: Path) -> None:
    """What is there is not opened again; half a clip never had its name."""
    assert owner("export", "mine")[0] == 0
    out = root.parent / "mine"
    gone, half = sorted((out / "clips").iterdir())[:2]
    shutil.rmtree(gone)
    half.rename(half.with_name(f".{half.name}"))
    (out / "manifest.json").write_text(
        json.dumps({"v": 1, "kind": "incamera-owner-export", "owner": "owner", "complete": False})
    )
    code, done = owner("export", "mine")
    assert (code, done["opened"], done["clips"]) == (0, 2, 3)
    assert not [each for each in (out / "clips").iterdir() if each.name.startswith(".")]
    assert json.loads((out / "manifest.json").read_text())["complete"] is True


def test_an_export_does_not_forget_what_was_erased_since(owner: Owner, root: Path) -> None:
    """The owner's copy is the owner's: described as before, and that the vault has it no more."""
    assert owner("export", "mine")[0] == 0
    name = capsules(owner("list")[1])[0]
    assert owner("erase", name)[0] == 0
    assert owner("export", "mine")[1]["clips"] == 2
    manifest = json.loads((root.parent / "mine" / "manifest.json").read_text())
    assert {each["capsule"]: each["kept"] for each in manifest["capsules"]}[name] is False
    assert len(manifest["reads"]) == 1


def test_a_damaged_capsule_is_named_and_the_others_are_exported(owner: Owner, root: Path) -> None:
    """One with a flipped byte of ciphertext, one that is cut off: exit code 4, and why."""
    first, second, _ = capsules(owner("list")[1])
    for name, cut in ((first, 0), (second, 100)):
        blob = root / "vault" / "blobs" / name[:2] / name
        data = bytearray(blob.read_bytes())
        data[-1] ^= 1
        blob.write_bytes(data[: len(data) - cut])
    code, done = owner("export", "mine")
    assert (code, done["clips"]) == (4, 1)
    assert sorted(each["capsule"] for each in done["damaged"]) == [first, second]
    manifest = json.loads((root.parent / "mine" / "manifest.json").read_text())
    assert manifest["damaged"] == done["damaged"]
    assert first in (root.parent / "mine" / "index.html").read_text()


def test_an_export_does_not_go_into_a_folder_of_something_else(owner: Owner, root: Path) -> None:
    """Nothing is overwritten."""
    (root.parent / "mine").mkdir()
    (root.parent / "mine" / "letter.txt").write_text("dear ...")
    code, told = owner("export", "mine")
    assert code == 3
    assert "is no export of owner's" in told["error"]["message"]


def test_an_erasure_is_proven_to_anybody(owner: Owner, root: Path) -> None:
    """Gone from blobs and index, read by all trustees, and certified; offline, by the policy."""
    name, *others = capsules(owner("list")[1])
    code, done = owner("erase", name, "--certificate", "it.json")
    assert (code, done["erased"], done["trustees"]["behind"]) == (0, [name], [])
    assert len(done["trustees"]["read"]) == 3
    assert not (root / "vault" / "blobs" / name[:2] / name).exists()
    assert capsules(owner("list")[1]) == others
    policy = (root / "public" / "tlog-policy").read_bytes()
    shutil.rmtree(root / "vault")
    data = (root.parent / "it.json").read_bytes()
    checked = check_certificate(data, Policy.parse(policy), "it.json")
    assert (list(checked.capsules), checked.by) == ([name], ("owner",))
    assert owner("check-erasure", "it.json")[0] == 0


def test_an_erasure_that_was_interrupted_is_certified_when_it_is_asked_for_again(
    owner: Owner, root: Path
) -> None:
    """Killed before the certificate: the same words say nothing twice, and write it."""
    name, *others = capsules(owner("list")[1])
    (root.parent / "full").mkdir()
    assert owner("erase", name, "--certificate", "full")[0] != 0  # logged, and not written
    code, done = owner("erase", name, "--certificate", "it.json")
    assert (code, done["erased"]) == (0, [name])
    assert owner("erase", name, "--certificate", "it.json")[1]["entries"] == done["entries"]
    everything = owner("erase", "--all", "--certificate", "all.json")[1]
    assert everything["erased"] == sorted([name, *others])
    assert everything["entries"][0] == done["entries"][0]
    again = owner("erase", "--all", "--certificate", "all.json")[1]
    assert again["entries"] == everything["entries"]
    assert owner("check-erasure", "all.json")[0] == 0


def test_hours_whose_erasure_was_interrupted_are_certified_whole(owner: Owner, root: Path) -> None:
    """The vault knows no more what a drive held: the owner's own note does, until that is done."""
    names = capsules(owner("list")[1])
    (root.parent / "full").mkdir()
    drive = ("erase", "--vehicle", "car")
    assert owner(*drive, "--certificate", "full")[0] != 0  # logged, and not written
    assert owner("list")[1]["drives"] == []
    (note,) = (root / "owner").glob("erasing-*.json")
    assert owner("erase", "--since", "2000-01-01T00")[0] == 3  # something else was meant
    code, done = owner(*drive, "--certificate", "it.json")
    assert (code, done["erased"]) == (0, names)
    checked = json.loads((root.parent / "it.json").read_bytes())
    assert [each["capsule"] for each in checked["capsules"]] == names
    assert owner("check-erasure", "it.json")[0] == 0
    assert not note.exists()
    assert owner(*drive)[0] == 3


def test_what_was_left_of_an_interrupted_erasure_is_erased_and_certified_with_the_rest(
    owner: Owner, root: Path
) -> None:
    """Some are in the log, some are not; a note that was altered is refused."""
    names = capsules(owner("list")[1])
    (root.parent / "full").mkdir()
    owner("erase", names[0], "--certificate", "full")
    meant = Meant.of(HomeDesk(Home(root)), vehicle="car", since=None, until=None)
    assert meant is not None
    meant.note([Digest(each) for each in names])
    code, done = owner("erase", "--vehicle", "car", "--certificate", "it.json")
    assert (code, done["erased"], len(done["entries"])) == (0, names, 2)
    meant.note([])
    meant.path.write_bytes(meant.path.read_bytes() + b" ")
    assert owner("erase", "--vehicle", "car")[0] == 3


def test_a_certificate_proves_nothing_that_it_does_not_hold(owner: Owner, root: Path) -> None:
    """Another capsule, another owner, a proof left out, an entry in another's place."""
    names = capsules(owner("list")[1])
    assert owner("erase", names[0], "--certificate", "it.json")[0] == 0
    policy = Policy.parse((root / "public" / "tlog-policy").read_bytes())
    whole = json.loads((root.parent / "it.json").read_bytes())
    row = whole["capsules"][0]
    changes: list[dict[str, Any]] = [
        {"capsules": [row | {"capsule": names[1]}]},
        {"capsules": [row | {"erased": row["admitted"]}]},
        {"capsules": [row | {"admitted": 0}]},
        {"capsules": []},
        {"owner": "eve"},
        {"kind": "something-else"},
        {"proofs": whole["proofs"][:-1]},
        {"proofs": whole["proofs"][1:]},
        {"proofs": [each.replace("index 0", "index 1") for each in whole["proofs"]]},
    ]
    for change in changes:
        with pytest.raises((InputError, IntegrityError)):
            check_certificate(json.dumps(whole | change).encode(), policy, "it.json")


def test_erasing_a_range_of_hours_leaves_the_rest(owner: Owner) -> None:
    """What is meant must be said, in one way; an hour that is none is refused."""
    (drive,) = owner("list")[1]["drives"]
    assert owner("erase", "--since", "2999-01-01T00")[0] == 3
    assert owner("erase", "--since", "tomorrow")[0] == 3
    assert owner("erase")[0] == 3
    assert owner("erase", "--all", "--vehicle", "car")[0] == 3
    assert owner("erase", "--vehicle", "another")[0] == 3
    code, done = owner("erase", "--vehicle", "car", "--until", drive["hour"])
    assert (code, len(done["erased"])) == (0, 3)
    assert owner("list")[1]["drives"] == []


def test_a_sold_car_records_and_delivers_nothing_more(owner: Owner, root: Path) -> None:
    """The key is dead, the consent withdrawn, what was admitted stays until it is erased."""
    home = Home(root)
    late = root.parent / "late.capsule"
    sealer_of(home).seal(late)
    code, sold = owner("sell")
    assert code == 0
    assert consent_digest("consent-1") in sold["consents"]
    assert len(sold["cars"]) == len(sold["entries"]) == 1
    assert sold["elsewhere"] == []
    with pytest.raises(RefusedError, match="revoked"):
        home.vault.admit(late)
    assert not home.paths.consent.exists()
    assert len(capsules(owner("list")[1])) == 3
    assert owner("export", "mine")[0] == 0
    assert _run(["request", "--home", str(root), "--reader", "lab"]) == 0
    with pytest.raises(SystemExit, match="5"):
        _run(["grant", "--home", str(root)])
    assert {each.code for each in home.state().refusals()} == {"consent-withdrawn"}
    code, again = owner("sell", "--erase-all")
    assert (code, again["entries"], len(again["erased"]["erased"])) == (0, [], 3)
    assert owner("list")[1]["drives"] == []
    assert _run(["audit", "--home", str(root)]) == 0


def test_a_sale_that_was_cut_short_is_certified_whole(
    owner: Owner, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies once all is erased, before there is a certificate: the same words write it."""

    def dies(desk: object, names: object) -> None:
        raise UnavailableError(f"the power: {desk} {names}")

    with monkeypatch.context() as patch:
        patch.setattr("incamera.cli.own.ending.make_certificate", dies)
        assert owner("sell", "--erase-all")[0] == 6
    assert owner("list")[1]["drives"] == []
    code, again = owner("sell", "--erase-all")
    assert (code, again["entries"], len(again["erased"]["erased"])) == (0, [], 3)
    certificate = again["erased"]["certificate"]
    assert owner("check-erasure", certificate)[0] == 0


def test_selling_withdraws_the_tokens_that_lie_in_the_car(owner: Owner, root: Path) -> None:
    """The owner's own, which then go; neither the buyer's, nor what is no consent."""
    folder = root / "car" / "consents"
    folder.mkdir()
    key = SigningKey.load(root / "owner" / "signing.key")
    tokens = {}
    for name in ("owner", "buyer"):
        given = Consent(
            region=Region("eu"),
            owner=Name(name),
            car=digest(b"car"),
            purposes=(Name("driver-assistance"),),
            not_before=0,
            expires=1 << 40,
            parked=False,
            nonce=bytes(16),
        )
        tokens[name] = given.seal(key)
        (folder / name).write_bytes(tokens[name])
    (folder / "rubbish").write_text("{")
    code, sold = owner("sell")
    assert code == 0
    assert digest(tokens["owner"]) in sold["consents"]
    assert digest(tokens["buyer"]) not in sold["consents"]
    assert sorted(each.name for each in folder.iterdir()) == ["buyer", "rubbish"]


def test_a_car_whose_key_is_elsewhere_is_named(owner: Owner, root: Path, tmp_path: Path) -> None:
    """The owner is told what is still alive, and consents end all the same."""
    other = tmp_path / "other"
    other.mkdir()
    SigningKey.generate().save(other / "signing.key")
    code, sold = owner("sell", "--car", str(other))
    assert (code, sold["cars"]) == (0, [])
    key = SigningKey.load(root / "car" / "signing.key")
    assert sold["elsewhere"] == [key.key_id]
    assert sold["consents"]


def test_a_home_ends_what_has_expired_when_it_is_tended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The vault says so in the log, the audit finds nothing, and a second run nothing to do."""
    past = FixedClock(SystemClock().now() - 25 * DAY)
    found(tmp_path / "home", plan_of("eu"), past)
    home = Home(tmp_path / "home", past)
    (name,) = admitted(home, tmp_path, 1)
    home.vault.close()
    words = ["tend", "--home", str(tmp_path / "home"), "--json"]
    told = []
    for _ in range(2):
        capsys.readouterr()
        assert _run(words) == 0
        told.append(json.loads(capsys.readouterr().out)["vault"])
    assert [each["expired"] for each in told] == [1, 0]
    now = Home(tmp_path / "home")
    row = now.vault.row(name)
    assert row is not None
    assert row.status == "erased"
    erased = now.state().erased(name)
    assert erased is not None
    assert (erased.by, [erased.index]) == ("vault", told[0]["entries"])
    assert _run(["audit", "--home", str(tmp_path / "home")]) == 0
