# SPDX-License-Identifier: Apache-2.0
"""The outsider's audit: a healthy region passes, and every way to cheat leaves a finding."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from incamera.audit import Report, audit
from incamera.clock import FixedClock
from incamera.errors import UnavailableError
from incamera.ids import Digest, Name, digest
from incamera.ledger.codec import capsule_list, encode
from incamera.ledger.entries import (
    CampaignEntry,
    CapsuleEntry,
    DatasetEntry,
    Entry,
    FreezeEntry,
    GrantEntry,
    ZonesEntry,
)
from incamera.ledger.manifest import DatasetFile, GrantPlace, Manifest
from incamera.ledger.state import leaf_digest
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import SigningKey
from incamera.tlog import FolderFetch, Policy
from incamera.trustee.keyring import Keyring
from world import DAY, EU, World


@dataclass
class Scene:
    """A region with one capsule read by acme, a campaign, a long request, and a dataset."""

    world: World
    capsule: Capsule
    leaf: bytes
    index: int

    @property
    def public(self) -> Path:
        """What everybody sees."""
        return self.world.public

    @property
    def blobs(self) -> Path:
        """The vault's store."""
        return self.world.home / "blobs"

    @property
    def manifest(self) -> Path:
        """Of the delivered dataset."""
        return self.world.home / "dataset" / "manifest.json"

    def store(self, capsule: Capsule) -> Path:
        """Keep a capsule as the vault does."""
        place = self.blobs / capsule.digest[:2] / capsule.digest
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(capsule.path, place)
        return place

    def audit(self, **change: object) -> Report:
        """All of it, as an outsider with the folders at hand."""
        if "policy_text" not in change:
            change["policy_text"] = (self.public / "tlog-policy").read_bytes()
        known: dict[str, object] = {
            "fetch": FolderFetch(self.public),
            "clock": self.world.clock,
            "public": self.public,
            "blobs": self.blobs,
            "datasets": [self.manifest],
        }
        return audit(**(known | change))  # type: ignore[arg-type]

    def say(self, entry: Entry, trustee: str) -> int:
        """Log an entry signed by a trustee, which the trustee's own software never would."""
        return self.world.say(entry, Keyring(self.world.home / trustee).signing)

    def grant(self, trustee: str, leaf: bytes, *capsules: Digest) -> int:
        """A grant entry made by hand."""
        named = capsule_list(capsules)[1]
        entry = GrantEntry(
            **self.world.facts(),
            trustee=Name(trustee),
            request=leaf_digest(leaf),
            capsules=named.digest,
            count=named.count,
        )
        return self.say(entry, trustee)

    def release(self, folder: str = "dataset") -> Manifest:
        """A dataset of the capsule, declared in the log."""
        world, root = self.world, self.world.home / folder
        root.mkdir()
        (root / "clip.mp4").write_bytes(b"a clip")
        grants = world.state().grants(leaf_digest(self.leaf))
        manifest = Manifest(
            region=EU,
            time=world.clock.now(),
            reader=Name("acme"),
            request=leaf_digest(self.leaf),
            index=self.index,
            capsules=(self.capsule.digest,),
            grants=tuple(sorted(GrantPlace(each.trustee, each.index) for each in grants)),
            files=(DatasetFile("clip.mp4", digest(b"a clip"), 6),),
            reports=(self.capsule.header.report,),
        )
        self.declare(manifest, root)
        return manifest

    def declare(self, manifest: Manifest, root: Path) -> None:
        """Write a manifest and log it."""
        key = self.world.readers["acme"].signing
        data = manifest.seal(key)
        (root / "manifest.json").write_bytes(data)
        facts = {"reader": Name("acme"), "request": leaf_digest(self.leaf)}
        self.world.say(
            DatasetEntry(**self.world.facts(), **facts, manifest=digest(data)),  # type: ignore[arg-type]
            key,
        )


def make(home: Path) -> Scene:
    """A region in ``home`` with all of a scene."""
    world = World(home)
    capsule = world.capsule(b"a clip")
    campaign, zones = b"[campaign]\n", b"zones, which may be secret"
    world.beside(f"campaign/{digest(campaign)}.toml", campaign)
    world.say(CampaignEntry(**world.facts(), campaign=digest(campaign)), world.operator)
    world.say(ZonesEntry(**world.facts(), zones=digest(zones)), world.operator)
    data, named = capsule_list([capsule.digest])
    world.beside(f"list/{named.digest}", data)
    world.request(named, reader="pixel")
    leaf, index = world.request([capsule])
    world.open(leaf, index, capsule)
    scene = Scene(world, capsule, leaf, index)
    scene.store(capsule)
    scene.release()
    return scene


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """One region for tests that put back what they alter."""
    return make(tmp_path_factory.mktemp("audited"))


KEPT = ("log", "blobs", "dataset")


@pytest.fixture(scope="module")
def snapshot(shared: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared region's folders as they were at first."""
    copy = tmp_path_factory.mktemp("snapshot")
    for name in KEPT:
        shutil.copytree(shared.world.home / name, copy / name)
    return copy


@pytest.fixture
def scene(shared: Scene, snapshot: Path) -> Iterator[Scene]:
    """The shared region for a test that goes on with it; all is put back afterwards.

    Not the trustees' own memories: a test that lets trustees decide makes a region of its own.
    """
    start = shared.world.clock.now()
    yield shared
    shared.world.clock.seconds = start
    for name in KEPT:
        shutil.rmtree(shared.world.home / name)
        shutil.copytree(snapshot / name, shared.world.home / name)
    for witness in shared.world.logs.witnesses:
        witness.down = False


@contextlib.contextmanager
def altered(path: Path, data: bytes | None) -> Iterator[None]:
    """``path`` with other bytes, or without any, for a while."""
    before = path.read_bytes() if path.exists() else None
    made = [each for each in path.parents if not each.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if data is not None:
        path.write_bytes(data)
    yield
    path.unlink(missing_ok=True)
    for each in made:
        each.rmdir()
    if before is not None:
        path.write_bytes(before)


def admission(world: World, name: bytes) -> bytes:
    """The entry of a capsule that nobody will look for."""
    return encode(CapsuleEntry(**world.facts(), capsule=digest(name)), world.vault)


def found(report: Report, severity: str = "error") -> list[tuple[str, str]]:
    """Where and what of all findings of a severity."""
    return [(each.where, each.what) for each in report.findings if each.severity == severity]


def expect(report: Report, where: str, what: str) -> None:
    """Exactly these words, at that place, and the audit does not pass."""
    assert not report.ok
    assert any(where in place and what in text for place, text in found(report)), found(report)


def test_a_healthy_region_passes(shared: Scene) -> None:
    """Nothing is found, everything is counted, and each demand is told with its outcome."""
    report = shared.audit()
    assert report.ok
    assert report.findings == ()
    assert report.counts["capsule entries"] == report.counts["stored capsules"] == 1
    assert report.counts["texts"] == 3
    pixel, acme = report.demands
    assert (pixel.reader, pixel.granted, pixel.datasets) == ("pixel", (), 0)
    assert (acme.reader, acme.granted, acme.datasets) == ("acme", ("ch", "uy"), 1)
    told = json.loads(json.dumps(report.to_json()))
    assert told["ok"] is True
    assert told["size"] == report.size


def test_a_region_served_from_afar_passes_too(shared: Scene) -> None:
    """Without the folder, fetching alone checks all that the log promises."""
    report = shared.audit(public=None, blobs=None, datasets=())
    assert report.ok
    assert report.findings == ()
    assert report.counts["tiles"] == 2


def test_every_flipped_byte_is_found(shared: Scene) -> None:
    """One byte altered in any file of public/ or of the vault's store is an error finding.

    Small files byte by byte, larger ones at their ends and at places drawn at random.
    """
    dice = random.Random(7)
    files = [path for root in (shared.public, shared.blobs) for path in root.rglob("*")]
    tried = 0
    for path in sorted(path for path in files if path.is_file()):
        data = path.read_bytes()
        superseded = ".p" in path.parts[-2] and path.name != str(shared.world.logs.log.size)
        places = dice.sample(range(len(data)), min(2 if superseded else 12, len(data)))
        for at in sorted({0, len(data) - 1, *places}):
            flipped = bytes([data[at] ^ 1 << dice.randrange(8)])
            with altered(path, data[:at] + flipped + data[at + 1 :]):
                assert not shared.audit().ok, (path, at)
            tried += 1
    assert tried > 150
    assert shared.audit().ok


def test_every_flipped_byte_of_a_checkpoint_is_found(shared: Scene) -> None:
    """Not even a line that turns into an unknown signer's slips through."""
    path = shared.public / "checkpoint"
    data = path.read_bytes()
    for at in range(len(data)):
        with altered(path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
            assert not shared.audit(public=None, blobs=None, datasets=()).ok, at


def test_every_missing_file_is_found(shared: Scene) -> None:
    """What the log promises must be there; superseded partial tiles alone may go."""
    size = shared.world.logs.log.size
    for path in sorted(shared.public.rglob("*")):
        name = path.relative_to(shared.public).as_posix()
        if path.is_dir():
            continue
        promised = "tile" not in name or name.endswith(f".p/{size}")
        with altered(path, None):
            report = shared.audit(policy_text=shared.world.logs.policy.text)
        assert report.ok != promised, name


STRAYS = [
    "note.txt", "checkpoint.bak", "tile/0/000.bak", "tile/x", "tile/0/000.p/256", "policy/x.cedar",
    ".checkpoint.1a2b.tmp", "list/short", "tile/0/000.p/200", "tile/3/000.p/1",
]  # fmt: skip


@pytest.mark.parametrize("name", STRAYS)
def test_strays_are_found(shared: Scene, name: str) -> None:
    """A file that no entry accounts for does not stand beside the log unnoticed."""
    with altered(shared.public / name, b"x"):
        report = shared.audit()
    assert not report.ok
    assert found(report)[0][0] == name


def test_texts_that_no_entry_names(shared: Scene) -> None:
    """A policy beside the log is in force only if an entry names it; a false digest is an error."""
    path = shared.public / f"policy/{digest(b'permit all')}.cedar"
    with altered(path, b"permit all"):
        report = shared.audit()
        assert report.ok
        assert "no entry of the log names this text" in found(report, "warning")[0][1]
    with altered(path, b"permit more"):
        expect(shared.audit(), "policy/", "it was altered")


def test_what_a_killed_writer_left_is_a_warning(shared: Scene) -> None:
    """A torn write has a name of its own and nobody reads it; any other odd name is an error."""
    path = shared.public / "tile" / "0" / ".000.p.0badf00d.tmp"
    with altered(path, b"half a ti"):
        report = shared.audit()
        assert report.ok
        assert "a process that was killed" in found(report, "warning")[0][1]
    with altered(path.with_name("000.tmp"), b"half a ti"):
        expect(shared.audit(), "000.tmp", "no part of a public log")


def test_a_symlink_is_no_public_file(shared: Scene) -> None:
    """What a link shows may change under the auditor's eyes."""
    path = shared.public / "campaign" / f"{digest(b'x')}.toml"
    path.symlink_to("/etc/hostname")
    expect(shared.audit(), "campaign/", "no part of a public log")
    path.unlink()


def test_stale_and_early_checkpoints_are_warnings(shared: Scene) -> None:
    """An old home still audits, but the report says that newer entries may exist."""
    now = shared.world.clock.now()
    for clock, what in ((now + 3_601, "stale"), (now - 31, "in the future")):
        report = shared.audit(clock=FixedClock(clock))
        assert report.ok
        assert what in found(report, "warning")[0][1]
    assert shared.audit(clock=FixedClock(now + 3_600)).findings == ()


def test_another_policy_is_noticed(shared: Scene) -> None:
    """Fewer witnesses than the region was founded with: the founding entry contradicts."""
    text = shared.world.logs.policy.text.replace(b" 2 w1", b" 1 w1")
    assert Policy.parse(text).quorum_met(["w1"])
    report = shared.audit(policy_text=text)
    expect(report, "tlog-policy", "not the policy that the region was founded under")
    expect(report, "tlog-policy", "not the one this audit judges by")


@pytest.mark.parametrize("text", [b"", b"nonsense", b"quorum none\n"])
def test_useless_policies(shared: Scene, text: bytes) -> None:
    """A policy that cannot be read, or names no log, makes nothing pass."""
    assert not shared.audit(policy_text=text).ok


def test_an_altered_bundle_is_blamed_itself(shared: Scene) -> None:
    """The finding names the file that was altered, not one that merely disagrees with it."""
    size = shared.world.logs.log.size
    path = shared.public / f"tile/entries/000.p/{size}"
    data = path.read_bytes()
    with altered(path, data[:50] + b"!" + data[51:]):
        report = shared.audit()
    assert [where for where, _ in found(report)] == [f"tile/entries/000.p/{size}"]


def test_withheld_entries_are_errors(shared: Scene) -> None:
    """A log that serves hashes and no entries does not pass."""
    inner = FolderFetch(shared.public)

    def fetch(path: str) -> bytes:
        if "entries" in path:
            raise UnavailableError("gone")
        return inner(path)

    expect(shared.audit(fetch=fetch), "tile/entries", "not those that the witnesses saw")


def test_what_waits_for_witnesses_is_a_warning(scene: Scene) -> None:
    """Entries taken in during an outage lie in public/ under no checkpoint: said, not failed."""
    world = scene.world
    for witness in world.logs.witnesses:
        witness.down = True
    with pytest.raises(UnavailableError):
        world.capsule()
    report = scene.audit()
    assert report.ok
    warned = {where.split(".")[0] for where, _ in found(report, "warning")}
    assert warned == {"tile/0/000", "tile/entries/000"}


# What the entries say


def test_void_entries_are_errors(scene: Scene) -> None:
    """Rubbish, and an entry by somebody who may not say it, are named with their index."""
    index = scene.world.append(b"rubbish")
    stranger = SigningKey.generate()
    entry = CapsuleEntry(**scene.world.facts(), capsule=digest(b"x"))
    forged = scene.world.append(encode(entry, stranger))
    report = scene.audit()
    expect(report, f"log entry {index}", "void")
    expect(report, f"log entry {forged}", "signed by another key")
    assert report.counts["bad entries"] == 2


def test_a_repeated_entry_is_counted(scene: Scene) -> None:
    """The same bytes twice have no effect and break nothing."""
    scene.world.append(scene.world.entries()[-1])
    report = scene.audit()
    assert report.ok
    assert report.counts["repeated entries"] == 1


def test_a_log_without_a_region(scene: Scene) -> None:
    """A log whose first entry founds nothing is no region's log."""
    fork = scene.world.fork([b"hello"])
    report = audit(
        FolderFetch(fork.public),
        scene.world.logs.policy.text,
        scene.world.clock,
        public=fork.public,
    )
    expect(report, "log entry 0", "does not found a region")


def test_a_government_that_was_granted(scene: Scene) -> None:
    """Two grants to a government are the broken promise itself, and named as such."""
    leaf, index = scene.world.request([scene.capsule], reader="ministry")
    assert scene.audit().ok
    assert scene.audit().demands[-1].kind == "government"
    for name in ("ch", "uy"):
        scene.grant(name, leaf, scene.capsule.digest)
    report = scene.audit()
    expect(report, f"log entry {index}", "a government (ministry, DE) was granted a read")
    expect(report, "log entry", "its own policy forbids this reader")


def test_a_grant_the_policy_forbids(scene: Scene) -> None:
    """A reader from abroad was granted: the capsule's own policy, read again, says no."""
    leaf, _ = scene.world.request([scene.capsule], reader="pixel")
    scene.grant("is", leaf, scene.capsule.digest)
    expect(scene.audit(), "log entry", "its own policy forbids this reader")


def test_a_grant_of_an_erased_capsule(scene: Scene) -> None:
    """Trustees obey erasures from their entry on."""
    scene.world.erase(scene.capsule)
    scene.grant("is", scene.leaf, scene.capsule.digest)
    expect(scene.audit(), "log entry", "granted a capsule that was erased before")


def test_a_grant_of_more_than_was_asked(scene: Scene) -> None:
    """One capsule asked for, two granted."""
    scene.grant("is", scene.leaf, scene.capsule.digest, digest(b"another"))
    expect(scene.audit(), "log entry", "more capsules than were asked for")


def test_a_late_grant_is_a_warning(scene: Scene) -> None:
    """By its own clock a trustee granted after the request had expired."""
    scene.world.clock.advance(11 * DAY)
    scene.grant("is", scene.leaf, scene.capsule.digest)
    assert "after the request had expired" in found(scene.audit(), "warning")[0][1]


def test_a_freeze_is_told_and_binds(scene: Scene) -> None:
    """A trustee that froze says the log forked; a grant of its after that is another error."""
    entry = FreezeEntry(**scene.world.facts(), trustee=Name("ch"), evidence=digest(b"proof"))
    index = scene.say(entry, "ch")
    scene.world.clock.advance(1)
    later = scene.grant("ch", scene.leaf, scene.capsule.digest)
    report = scene.audit()
    expect(report, f"log entry {index}", "holds proof that this log forked")
    expect(report, f"log entry {later}", "granted after it froze")


def test_a_dataset_without_its_grants(tmp_path: Path) -> None:
    """A dataset declared before enough trustees granted was opened by another way."""
    scene = make(tmp_path)
    world = scene.world
    capsule = world.capsule(b"second")
    scene.store(capsule)
    leaf, index = world.request([capsule])
    world.decide("ch", leaf, index, capsule)
    other = Scene(world, capsule, leaf, index)
    other.release("early")
    report = scene.audit(datasets=[world.home / "early/manifest.json"])
    expect(report, "log entry", "grants of 1 trustees, where 2 are needed")
    expect(report, "manifest.json", "names grants of 1 trustees, 2 are needed")


def test_requests_for_what_is_not_there(scene: Scene) -> None:
    """A request for unknown capsules or under an unknown policy is told, not failed."""
    world = scene.world
    leaf = world.leaf([scene.capsule], policy=digest(b"no such policy"))
    world.append(leaf)
    ghost = world.seal(b"never admitted")
    world.request([read_capsule(ghost)])
    report = scene.audit()
    assert report.ok
    texts = [what for _, what in found(report, "warning")]
    assert any("names a policy that is not in this log" in each for each in texts)
    assert any("1 of the 1 capsules" in each for each in texts)


def test_a_trustee_enrolled_since_the_founding_is_a_warning(scene: Scene) -> None:
    """One that is new, and one whose key the operator changed; none of the founding's."""
    assert not any("trustee" in each.where for each in scene.audit().findings)
    for name, country in (("two", "AT"), ("is", "IS")):
        key = SigningKey.generate().public
        scene.world.append(scene.world.party("trustee", name, "notary", country, key))
    report = scene.audit(blobs=None)
    told = {each.where for each in report.findings if "since the founding" in each.what}
    assert told == {"trustee two", "trustee is"}
    assert report.ok


def test_trustees_in_one_country_are_a_warning(scene: Scene) -> None:
    """When one government could reach enough shares, the report says so."""
    keys = Keyring.create(scene.world.home / "ch-two")
    scene.world.append(scene.world.party("trustee", "two", "notary", "CH", keys.signing.public))
    report = scene.audit()
    assert report.ok
    assert "one jurisdiction" in found(report, "warning")[0][1]


# What is stored


def test_a_capsule_that_was_lost(scene: Scene) -> None:
    """What was acknowledged must be kept, until it is erased."""
    place = scene.store(scene.capsule)
    place.unlink()
    expect(scene.audit(), f"capsule {scene.capsule.digest}", "is not kept")
    scene.world.erase(scene.capsule)
    assert scene.audit().ok


def test_a_capsule_that_should_be_gone(scene: Scene) -> None:
    """An erased capsule that is still on disk breaks the owner's right."""
    scene.world.erase(scene.capsule)
    expect(scene.audit(), "blobs/", "but is still kept")


def test_a_capsule_nobody_logged(scene: Scene) -> None:
    """A capsule without a public entry is told: cut short by a crash, or let in unseen."""
    scene.store(read_capsule(scene.world.seal(b"secret")))
    report = scene.audit()
    assert report.ok
    assert "no log entry says so" in found(report, "warning")[0][1]


def test_a_capsule_in_anothers_place(scene: Scene) -> None:
    """Two good capsules swapped are two errors."""
    other = scene.world.capsule(b"other")
    one, two = scene.store(scene.capsule), scene.store(other)
    shutil.copy(other.path, one)
    shutil.copy(scene.capsule.path, two)
    assert sum("is another capsule" in what for _, what in found(scene.audit())) == 2


def test_strays_among_capsules(shared: Scene) -> None:
    """A file that is no capsule does not lie in the store unnoticed."""
    with altered(shared.blobs / "ab" / "notes.txt", b"x"):
        expect(shared.audit(), "blobs/ab/notes.txt", "no capsule's")


CHANGES: dict[str, dict[str, object]] = {
    "no enrolled car's": {"car": SigningKey.generate()},
    "policy that is not in the log": {"policy": digest(b"my own policy")},
    "of region cn": {"region": Name("cn")},
    "no consent": {"consent": ""},
}


@pytest.mark.parametrize("what", CHANGES)
def test_capsules_the_vault_should_have_refused(scene: Scene, what: str) -> None:
    """A careless vault that logs anything is found out by the capsules themselves."""
    scene.store(scene.world.capsule(b"bad", **CHANGES[what]))
    expect(scene.audit(), "blobs/", what)


# What was delivered


def add(root: Path) -> None:
    """Smuggle a file in."""
    (root / "extra.mp4").write_bytes(b"smuggled")


DELIVERIES: dict[str, Callable[[Path], object]] = {
    "is not the file that was delivered": lambda root: (root / "clip.mp4").write_bytes(b"A clip"),
    "is named in the manifest but missing": lambda root: (root / "clip.mp4").unlink(),
    "was added to the dataset afterwards": add,
    "no entry of this log names this manifest": lambda root: (root / "manifest.json").write_bytes(
        (root / "manifest.json").read_bytes() + b" "
    ),
    "cannot be read": lambda root: (root / "manifest.json").unlink(),
}


@pytest.mark.parametrize("what", DELIVERIES)
def test_a_dataset_that_was_changed(shared: Scene, tmp_path: Path, what: str) -> None:
    """A delivered dataset is what its manifest, and the log, say it is."""
    root = tmp_path / "copy"
    shutil.copytree(shared.manifest.parent, root)
    DELIVERIES[what](root)
    expect(shared.audit(datasets=[root / "manifest.json"]), str(root), what)


def test_a_manifest_that_claims_too_much(scene: Scene) -> None:
    """Capsules that were not asked for, and grants that do not exist, are errors."""
    other = scene.world.capsule(b"other")
    scene.store(other)
    root = scene.world.home / "greedy"
    root.mkdir()
    (root / "clip.mp4").write_bytes(b"a clip")
    grants = tuple(scene.world.state().grants(leaf_digest(scene.leaf)))
    manifest = Manifest(
        region=EU,
        time=0,
        reader=Name("acme"),
        request=leaf_digest(scene.leaf),
        index=scene.index,
        capsules=tuple(sorted([scene.capsule.digest, other.digest])),
        grants=(GrantPlace(Name("ch"), grants[0].index), GrantPlace(Name("is"), 0)),
        files=(DatasetFile("clip.mp4", digest(b"a clip"), 6),),
        reports=(),
    )
    scene.declare(manifest, root)
    report = scene.audit(datasets=[root / "manifest.json"])
    for what in ("were not asked for", "not in the log", "1 trustees", "more capsules than ch"):
        expect(report, "manifest.json", what)


def test_a_log_that_moves_on_is_read_again(scene: Scene) -> None:
    """An append between the reading of the folder and the checkpoint is no finding."""
    inner, world = FolderFetch(scene.public), scene.world
    moves = iter([True])

    def fetch(path: str) -> bytes:
        if path == "tlog-policy" and next(moves, False):
            world.beside(f"campaign/{digest(b'c')}.toml", b"c")
            world.say(CampaignEntry(**world.facts(), campaign=digest(b"c")), world.operator)
        return inner(path)

    report = scene.audit(fetch=fetch)
    assert report.ok
    assert report.counts["campaign entries"] == 2


# Beyond one tile, and beyond one visit


def test_a_log_of_several_tiles(tmp_path: Path) -> None:
    """Full tiles, their bundles and the level above are checked, and blamed by name."""
    world = World(tmp_path)
    world.append(*(admission(world, b"%d" % number) for number in range(270)))
    scene = Scene(world, world.capsule(), b"", 0)
    plain: dict[str, object] = {"blobs": None, "datasets": ()}
    assert scene.audit(**plain).ok
    size = world.logs.log.size
    entries = f"tile/entries/001.p/{size - 256}"
    for name in ("tile/0/000", "tile/1/000.p/1", "tile/entries/000", entries):
        data = (scene.public / name).read_bytes()
        for at in (0, len(data) // 2, len(data) - 1):
            with altered(scene.public / name, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
                report = scene.audit(**plain)
            assert [where for where, _ in found(report)] == [name], at
        with altered(scene.public / name, None):
            assert not scene.audit(**plain).ok


def test_the_log_extends_what_was_seen_before(scene: Scene) -> None:
    """A checkpoint kept from an earlier visit is a beginning of the log, or it forked."""
    world = scene.world
    before = (scene.public / "checkpoint").read_bytes()
    world.revoke("reader", "club")
    report = scene.audit(earlier=[before, (scene.public / "checkpoint").read_bytes()])
    assert report.ok
    size = world.logs.log.size
    for other in (5, size):
        note = world.note(other, bytes(32))
        expect(scene.audit(earlier=[note]), f"checkpoint of size {other}", "it forked")
    expect(scene.audit(earlier=[world.note(size + 1, bytes(32))]), "earlier", "has 2")
    report = scene.audit(earlier=[b"rubbish", world.note(3, bytes(32), cosigners=1)])
    assert report.ok
    assert len(found(report, "warning")) == 2
