# SPDX-License-Identifier: Apache-2.0
"""Mirrors, and audits that go on where the last one stood."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from incamera.audit import Report, audit
from incamera.audit.visit import Visitor
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import digest
from incamera.ledger import evidence
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.tlog import FolderFetch, LogReader, tile
from incamera.tlog.fetch import Fetch
from incamera.wire import MissingError
from world import World


def capsules(world: World, first: int, count: int) -> list[bytes]:
    """Admissions of capsules that nobody will look for."""
    names = (digest(b"%d" % number) for number in range(first, first + count))
    return [encode(CapsuleEntry(**world.facts(), capsule=each), world.vault) for each in names]


class Served:
    """A public folder as served: it can be away, withhold files, show others, and counts."""

    def __init__(self, public: Path) -> None:
        self.inner: Fetch = FolderFetch(public)
        self.away = False
        self.withheld: set[str] = set()
        self.altered: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.left = 10**9  # answers before it goes away

    def __call__(self, path: str) -> bytes:
        """The file, as it is served now."""
        self.left -= 1
        if self.away or self.left < 0:
            raise UnavailableError("no answer")
        self.asked.append(path)
        if path in self.withheld:
            raise MissingError("404")
        if path in self.altered:
            return self.altered[path]
        return self.inner(path)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A region whose log has full level-0 tiles and more; for tests that append nothing."""
    world = World(tmp_path_factory.mktemp("standing"))
    world.append(*capsules(world, 0, 560))
    return world


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """That region; or one of its own, for a test that is marked as growing it."""
    if request.node.get_closest_marker("usefixtures") is None:
        found: World = request.getfixturevalue("standing")
        return found
    world = World(tmp_path / "world")
    world.append(*capsules(world, 0, 560))
    return world


@pytest.fixture
def growing() -> None:
    """Marks a test that appends to the log."""


@pytest.fixture
def served(world: World) -> Served:
    """Its log."""
    return Served(world.public)


@pytest.fixture
def visitor(world: World, served: Served, tmp_path: Path) -> Visitor:
    """Somebody who has never been there."""
    return made(world, served, tmp_path / "mirror")


def made(world: World, served: Fetch, folder: Path) -> Visitor:
    return Visitor(folder, served, world.clock, policy_text=world.logs.policy.text)


def errors(report: Report) -> list[tuple[str, str]]:
    return [(each.where, each.what) for each in report.findings if each.severity == "error"]


def at_once(world: World) -> Report:
    """The same log in one pass, without a memory."""
    return audit(FolderFetch(world.public), world.logs.policy.text, world.clock)


@pytest.mark.usefixtures("growing")
def test_a_mirror_is_the_log_as_served(world: World, visitor: Visitor) -> None:
    """Every tile, bundle and text of this size, byte for byte; and it passes an audit itself."""
    world.publish_policy(world.policy_text + "// again\n")
    visit = visitor.visit()
    assert visit.report.ok, visit.report.findings
    assert visit.report.to_json() == at_once(world).to_json()
    for path in visitor.public.rglob("*"):
        if path.is_file():
            name = path.relative_to(visitor.public)
            assert path.read_bytes() == (world.public / name).read_bytes()
    size = world.logs.log.size
    assert (visitor.public / tile.path(tile.ENTRIES, size // 256, size % 256)).exists()
    assert len(list((visitor.public / "policy").iterdir())) == 2
    text = world.logs.policy.text
    own = audit(FolderFetch(visitor.public), text, world.clock, public=visitor.public)
    assert own.ok, own.findings


@pytest.mark.usefixtures("growing")
def test_a_second_visit_reads_only_what_is_new(
    world: World, served: Served, visitor: Visitor
) -> None:
    """Full tiles and bundles are fetched once and for ever; the report is the whole log's."""
    visitor.visit()
    world.append(*capsules(world, 1_000, 300))
    served.asked.clear()
    visit = visitor.visit()
    assert visit.since > 0
    assert visit.report.to_json() == at_once(world).to_json()
    assert "tile/entries/000" not in served.asked
    assert "tile/0/000" not in served.asked
    assert "tile/entries/002" in served.asked
    served.asked.clear()
    assert visitor.visit().report.ok
    assert set(served.asked) <= {"checkpoint", "tlog-policy"}


def test_a_copy_interrupted_at_any_answer_goes_on_there(
    world: World, served: Served, tmp_path: Path
) -> None:
    """Whenever the log goes away, what came is kept, nothing is believed, and the next succeeds."""
    made(world, served, tmp_path / "uncut").visit()
    needed = len(served.asked)
    assert needed > 8
    for answers in range(needed):
        folder = tmp_path / f"cut-{answers}"
        visitor = made(world, served, folder)
        served.left = answers
        with pytest.raises(UnavailableError):
            visitor.visit()
        served.left = 10**9
        public = folder / "public"
        kept = {path.relative_to(public).as_posix() for path in public.rglob("*")}
        served.asked.clear()
        assert visitor.visit().report.to_json() == at_once(world).to_json()
        assert not kept & {each for each in served.asked if each.startswith("tile/")}


PLACES = ["tile/0/000", "tile/0/001", "tile/1/000.p/2", "tile/0/002.p/", "tile/entries/001"]
PLACES += ["tile/entries/002.p/"]


@pytest.mark.parametrize("how", ["withheld", "altered", "short"])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_served_wrong_is_found_and_blamed(
    world: World, served: Served, visitor: Visitor, place: str, how: str
) -> None:
    """A tile or bundle that is missing or altered; made good where that can be, told till it is."""
    place += str(world.logs.log.size % 256) if place.endswith("/") else ""
    data = (world.public / place).read_bytes()
    if how == "withheld":
        served.withheld.add(place)
    else:
        served.altered[place] = data[:-32] if how == "short" else flipped(data)
    for _ in range(2):
        report = visitor.visit().report
        assert [where for where, _ in errors(report)] == [place]
        assert place in {where for where, _ in errors(whole(world, served))}
    healed = "entries" not in place
    assert (visitor.public / "checkpoint").exists() == healed
    if healed:
        assert (visitor.public / place).read_bytes() == data
    served.withheld.clear()
    served.altered.clear()
    assert visitor.visit().report.to_json() == at_once(world).to_json()


def flipped(data: bytes) -> bytes:
    """Another byte at 40, whatever stood there."""
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


def whole(world: World, served: Served) -> Report:
    """What one pass over the log as served finds."""
    return audit(served, world.logs.policy.text, world.clock)


def test_tiles_of_a_taller_tree_are_made_good_too(tmp_path: Path) -> None:
    """With a full tile at level 1, one that is altered is rebuilt from the 256 below it."""
    world = World(tmp_path / "world")
    entries = [b"rubbish %d" % number for number in range(65_536 + 300)]
    world.append(*entries)
    served = Served(world.public)
    visitor = made(world, served, tmp_path / "mirror")
    served.altered["tile/1/000"] = bytes(8192)
    served.withheld.add("tile/1/001.p/1")
    report = visitor.visit().report
    wrong = {where for where, _ in errors(report) if not where.startswith("log entry")}
    assert wrong == {"tile/1/000", "tile/1/001.p/1"}
    for place in wrong:
        assert (visitor.public / place).read_bytes() == (world.public / place).read_bytes()


def test_a_mirror_that_was_emptied_is_filled_again(world: World, visitor: Visitor) -> None:
    """What was read is remembered; what was copied is copied once more."""
    visitor.visit()
    before = {path.relative_to(visitor.public) for path in visitor.public.rglob("*")}
    shutil.rmtree(visitor.public)
    visit = visitor.visit()
    assert visit.since == visit.report.size
    assert visit.report.to_json() == at_once(world).to_json()
    assert {path.relative_to(visitor.public) for path in visitor.public.rglob("*")} == before


def test_texts_are_mirrored_and_judged(world: World, served: Served, visitor: Visitor) -> None:
    """A text that is altered or withheld is an error at each visit, and never kept."""
    text = f"policy/{world.policy}.cedar"
    served.altered[text] = b"permit all"
    assert [where for where, _ in errors(visitor.visit().report)] == [text]
    assert not (visitor.public / text).exists()
    served.altered.clear()
    served.withheld.add(text)
    assert "withheld" in errors(visitor.visit().report)[0][1]
    served.withheld.clear()
    assert visitor.visit().report.ok
    assert (visitor.public / text).exists()
    served.withheld.add(text)
    assert visitor.visit().report.ok  # its copy is as good


def test_a_log_that_is_away_is_no_finding(served: Served, visitor: Visitor) -> None:
    """Nothing is wrong with a log that does not answer; nothing is known either."""
    served.away = True
    with pytest.raises(UnavailableError):
        visitor.visit()
    served.away = False
    assert visitor.visit().report.ok


def test_the_first_policy_is_kept(world: World, served: Served, tmp_path: Path) -> None:
    """Without a policy in hand the first one published is judged by, at later visits too."""
    visitor = Visitor(tmp_path / "trusting", served, world.clock)
    assert visitor.visit().report.ok
    served.altered["tlog-policy"] = b"quorum none\n"
    report = visitor.visit().report
    assert [where for where, _ in errors(report)] == ["tlog-policy"]
    served.altered["checkpoint"] = b"rubbish"
    assert errors(visitor.visit().report)[0][0] == "checkpoint"


def test_one_folder_mirrors_one_log(world: World, visitor: Visitor, tmp_path: Path) -> None:
    """Another log's policy in the same folder is refused before anything is fetched."""
    visitor.visit()
    text = world.logs.policy.text.replace(b"log.example/eu", b"log.example/cn")
    with pytest.raises(InputError):
        Visitor(visitor.folder, FolderFetch(world.public), world.clock, policy_text=text).visit()


# Forks


def forked(world: World, entries: list[bytes], name: str) -> Served:
    """Another view of the log, cosigned by witnesses gone bad."""
    folder = f"{name}-{len(list(world.home.iterdir()))}"
    return Served(world.fork(entries, folder).public)


@pytest.mark.parametrize("change", [-600, -200, -1, 0, 1, 200, 600])
def test_a_fork_leaves_one_file_that_anybody_can_check(
    world: World, visitor: Visitor, change: int
) -> None:
    """Of any size, smaller or larger: the two notes convict the log, and all stays closed."""
    visitor.visit()
    entries = world.entries()
    entries[3] = b"another"
    wanted = len(entries) + change
    if wanted <= 0:
        wanted = 5
    entries += [b"more %d" % number for number in range(change)]
    fork = forked(world, entries[:wanted], "fork")
    visit = made(world, fork, visitor.folder).visit()
    assert "the log forked" in errors(visit.report)[0][1]
    assert visit.evidence is not None
    data = visit.evidence.read_bytes()
    assert visit.evidence.name == f"{digest(data)}.fork.json"
    small, large = evidence.check_evidence(data, world.logs.policy, "evidence")
    assert {small.size, large.size} == {wanted, len(world.entries())}
    assert small.root != large.root
    again = visitor.visit()
    assert again.evidence == visit.evidence
    assert not again.report.ok
    assert len(evidence.found(visitor.evidence)) == 1


@pytest.mark.usefixtures("growing")
def test_a_log_that_went_back_is_told_as_that(world: World, visitor: Visitor) -> None:
    """An old copy of the very same log is an error, but no proof of a fork."""
    old = world.home / "old"
    shutil.copytree(world.public, old)
    world.append(*capsules(world, 2_000, 5))
    visitor.visit()
    visit = made(world, FolderFetch(old), visitor.folder).visit()
    assert "went back" in errors(visit.report)[0][1]
    assert visit.evidence is None
    assert not evidence.found(visitor.evidence)
    assert visitor.visit().report.ok


def test_a_fork_is_proven_although_tiles_are_withheld(world: World, visitor: Visitor) -> None:
    """The fork serves wrong tiles: they are rebuilt from its entries, and convict it then."""
    visitor.visit()
    entries = [*world.entries(), b"more", b"and more"]
    entries[3] = b"another"
    fork = forked(world, entries, "fork")
    before = (visitor.public / "checkpoint").read_bytes()
    # With both the tile and the one below it withheld: an error, but no proof yet.
    fork.withheld |= {"tile/0/000", "tile/1/000.p/2"}
    visit = made(world, fork, visitor.folder).visit()
    assert [where for where, _ in errors(visit.report)] == ["tile"]
    fork.withheld.remove("tile/0/000")
    visit = made(world, fork, visitor.folder).visit()
    assert visit.evidence is not None
    evidence.check_evidence(visit.evidence.read_bytes(), world.logs.policy, "evidence")
    assert (visitor.public / "checkpoint").read_bytes() == before


def test_evidence_that_proves_nothing(world: World, visitor: Visitor) -> None:
    """Every altered byte, honest notes, and proofs of other trees are refused with our errors."""
    visitor.visit()
    before = (world.public / "checkpoint").read_bytes()
    entries = [*world.entries(), b"more"]
    entries[3] = b"another"
    fork = forked(world, entries, "fork")
    visit = made(world, fork, visitor.folder).visit()
    assert visit.evidence is not None
    data, policy = visit.evidence.read_bytes(), world.logs.policy
    for at in range(0, len(data), 7):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            pair = evidence.check_evidence(changed, policy, "evidence")
        except (InputError, IntegrityError):
            continue
        # When it was seen, and the lines of witnesses, prove nothing and need not hold.
        assert pair == evidence.check_evidence(data, policy, "evidence")
    split = evidence.Split((bytes(32),), 0, bytes(32), ())
    honest = visitor.folder / "honest"
    evidence.keep_split(honest, before, world.note(900, bytes(32)), split, 1)
    with pytest.raises(IntegrityError):
        evidence.check_evidence(evidence.found(honest)[0].read_bytes(), policy, "evidence")


def test_a_follower_freezes_on_what_an_auditor_proved(world: World, visitor: Visitor) -> None:
    """A proof of two sizes, handed to somebody who saw neither tree, closes for good."""
    visitor.visit()
    entries = [*world.entries(), b"more"]
    entries[3] = b"another"
    fork = forked(world, entries, "fork")
    visit = made(world, fork, visitor.folder).visit()
    assert visit.evidence is not None
    reader = LogReader(FolderFetch(world.public), world.logs.policy)
    follower = Follower(reader, State(), world.clock, folder=visitor.folder / "follower")
    with pytest.raises(InputError):
        follower.convict(b"{}")
    assert not follower.frozen
    assert follower.convict(visit.evidence.read_bytes()) == visit.evidence.name[:64]
    assert follower.frozen
    assert (
        evidence.found(visitor.folder / "follower")[0].read_bytes() == visit.evidence.read_bytes()
    )
    with pytest.raises(IntegrityError):
        follower.follow()


@pytest.mark.usefixtures("growing")
def test_late_trustees_and_missing_witnesses_are_told(world: World) -> None:
    """Keys that ended, keys that should be gone, a witness that keeps away: warnings with names."""
    world.logs.witnesses[1].down = True
    world.clock.advance(40 * 86_400)
    world.logs.log.refresh()
    report = at_once(world)
    assert report.ok
    told = [(each.where, each.what) for each in report.findings]
    assert ("witness w2", "did not cosign this checkpoint") in told
    for name in ("ch", "is", "uy"):
        wheres = [what for where, what in told if where == f"trustee {name}"]
        assert any("no key that cars may seal to now" in what for what in wheres)
        assert any("epoch 4 should be destroyed" in what for what in wheres)
