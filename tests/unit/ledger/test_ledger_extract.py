# SPDX-License-Identifier: Apache-2.0
"""What a car reads of its log: only what concerns it, proven, and the vault held to its word."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from incamera.encoding import canonical, parse_json
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, Name, digest
from incamera.ingest.seating import Seating
from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import (
    CampaignEntry,
    CapsuleEntry,
    EpochEntry,
    PolicyEntry,
    WithdrawEntry,
)
from incamera.ledger.extract import Extract, Proven, Statement, concerns, open_statement
from incamera.ledger.follower import Follower
from incamera.ledger.rights import retire
from incamera.ledger.sparse import STATEMENTS, LeftOutError, SparseFollower, SparseState
from incamera.ledger.state import State
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.service.extracts import Extracts
from incamera.tlog import FolderFetch, LogReader
from world import World, quick_folder

CAR, ADA = Name("car-7"), Name("ada")


class Ground:
    """A region whose vault has read the log, and a car that asks it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.fetch = FolderFetch(self.world.public)
        self.whole = State(folder / "whole.db")
        self.told = Extracts(
            folder / "whole.db", self.fetch, self.world.logs.policy, self.world.vault, recent=0
        )
        self.car = SparseState(folder / "car.db")
        #: What becomes of an answer on its way.
        self.bend: Callable[[bytes], bytes] = lambda data: data
        self.asked: list[int] = []

    def grow(self, count: int = 300) -> None:
        """Capsules of other cars."""
        names = [Digest(digest(b"%d" % (self.world.logs.log.size + n))) for n in range(count)]
        entries = [CapsuleEntry(**self.world.facts(), capsule=name) for name in names]
        self.world.append(*(encode(each, self.world.vault) for each in entries))

    def vault_reads(self) -> None:
        """The vault follows the log."""
        reader = LogReader(self.fetch, self.world.logs.policy)
        Follower(reader, self.whole, self.world.clock).follow()

    def ask(self, since: int) -> bytes:
        """As over HTTP."""
        self.asked.append(since)
        return self.bend(self.told.make(CAR, ADA, since))

    def visit(self, *bundles: int, car: Name = CAR) -> int:
        """The car reads, and looks at ``bundles``; the size it is at then."""
        reader = LogReader(self.fetch, self.world.logs.policy)

        def choose(among: Sequence[int], count: int) -> list[int]:
            assert count <= 2
            return [each for each in among if not bundles or each in bundles]

        follower = SparseFollower(
            *(reader, self.car, self.world.clock, self.ask), car=car, owner=ADA, choose=choose
        )
        return follower.follow().checkpoint.size


@pytest.fixture
def ground() -> Iterator[Ground]:
    """A region of its own, with capsules."""
    with quick_folder() as folder:
        made = Ground(folder)
        made.grow()
        made.vault_reads()
        yield made


def same(ground: Ground) -> None:
    """What a car asks of a log has one answer, however it was read."""
    whole, car = ground.whole, ground.car
    assert car.size == whole.size
    assert (car.region, car.time, car.founded()) == (whole.region, whole.time, whole.founded())
    assert list(car.parties("trustee")) == list(whole.parties("trustee"))
    for trustee in whole.parties("trustee"):
        assert car.epochs(trustee.name) == whole.epochs(trustee.name)
        seating, policy = Seating(), ground.world.logs.policy
        doubts = [seating.doubt(each, trustee, policy) for each in (car, whole)]
        assert (doubts[0] is None) == (doubts[1] is None)
    for kind in ("policy", "campaign", "zones"):
        assert car.documents(kind) == whole.documents(kind)
    for role, name in (("car", CAR), ("owner", ADA)):
        assert car.party(role, name) == whole.party(role, name)  # type: ignore[arg-type]
    assert car.withdrawals() == [each for each in whole.withdrawals() if each.owner == ADA]


def test_a_car_knows_by_extracts_what_it_would_know_by_the_whole_log(ground: Ground) -> None:
    """Also of what came later; of others' capsules and parties it reads nothing."""
    world, second = ground.world, SigningKey.generate()
    world.append(world.party("car", "car-8", "private", "DE", second.public))
    ground.grow(2)
    ground.vault_reads()
    first = ground.visit()
    assert first == world.logs.log.size
    same(ground)
    assert next(ground.car.capsules(), None) is None
    name = digest(b"a campaign")
    world.say(CampaignEntry(**world.facts(), campaign=name), world.operator)
    world.add_trustee("dk")
    ground.grow(280)
    world.revoke("trustee", "is")
    consents = (digest(b"a consent"),)
    sold = (retire(second, world.region, ADA),)  # of ada's other car, which ours never heard of
    gone = WithdrawEntry(**world.facts(), owner=ADA, consents=consents, cars=sold)
    world.say(gone, world.owner.signing)
    world.append(world.party("car", "another", "private", "DE", SigningKey.generate().public))
    ground.vault_reads()
    ground.visit()
    same(ground)
    assert ground.car.published("campaign", name) is not None
    assert ground.car.party("trustee", "is") is None
    assert ground.car.party("car", "another") is None
    assert ground.car.withdrawn(consents[0], digest(world.owner.opening.public)) is not None
    size = ground.car.size
    ground.visit()
    assert ground.asked == [0, first, size]
    same(ground)


def test_the_vault_finds_what_the_car_calls_its_concern(ground: Ground) -> None:
    """The rule is said twice, as a question to the tables and of an entry: both say the same."""
    world = ground.world
    world.say(CampaignEntry(**world.facts(), campaign=digest(b"one")), world.operator)
    world.revoke("trustee", "is")
    world.revoke("reader", "club")
    gone = WithdrawEntry(**world.facts(), owner=ADA, consents=(digest(b"it"),), cars=())
    world.say(gone, world.owner.signing)
    ground.vault_reads()
    size = ground.whole.size
    found = ground.whole.concerning(CAR, ADA, 0, size, founded=0, count=1_000)
    entries = [decode(data, "entry").entry for data in world.entries()]
    assert found == [at for at, entry in enumerate(entries) if concerns(entry, CAR, ADA)]


def test_an_extract_is_small(ground: Ground) -> None:
    """Of a thousand more capsules it shows nothing but a checkpoint."""
    ground.visit()
    ground.grow(1_000)
    ground.vault_reads()
    assert len(ground.told.make(CAR, ADA, ground.car.size)) < 4_000
    ground.visit()
    same(ground)


def test_a_car_that_read_the_whole_log_goes_on_by_extracts_and_not_back(ground: Ground) -> None:
    """The tables are the same; the hashes of what was not read are not there to go on from."""
    ground.whole.close()
    path = ground.world.home / "whole.db"
    kept = path.read_bytes()
    (ground.world.home / "old.db").write_bytes(kept)
    ground.car = SparseState(ground.world.home / "old.db")
    ground.grow(10)
    ground.whole = State(path)
    ground.vault_reads()
    ground.visit()
    same(ground)
    whole = State(ground.world.home / "old.db")
    reader = LogReader(ground.fetch, ground.world.logs.policy)
    with pytest.raises(IntegrityError, match="not a whole log"):
        Follower(reader, whole, ground.world.clock).follow()


def bent(change: Callable[[Ground, Extract, Statement], Extract]) -> Callable[[Ground], None]:
    """A vault that alters what it shows, and signs that."""

    def bend(ground: Ground) -> None:
        def alter(data: bytes) -> bytes:
            extract = Extract.parse(data, "test")
            statement, _ = open_statement(extract.statement, "test")
            return change(ground, extract, statement).format()

        ground.bend = alter

    return bend


def signed(ground: Ground, extract: Extract, statement: Statement, **more: object) -> Extract:
    """The same with another statement, signed by the vault."""
    said = dataclasses.replace(statement, **more)  # type: ignore[arg-type]
    return dataclasses.replace(extract, statement=said.seal(ground.world.vault))


def without(ground: Ground, extract: Extract, statement: Statement, at: int) -> Extract:
    """Its ``at``-th entry left out, and so said."""
    entries = (*extract.entries[:at], *extract.entries[at:][1:])
    indices = (*statement.indices[:at], *statement.indices[at:][1:])
    return signed(ground, dataclasses.replace(extract, entries=entries), statement, indices=indices)


def _entry(extract: Extract, at: int, entry: bytes) -> Extract:
    entries = list(extract.entries)
    entries[at] = Proven(entry, entries[at].proof)
    return dataclasses.replace(extract, entries=tuple(entries))


def _forged(ground: Ground) -> bytes:
    """An epoch key of the operator's choice, where another entry stands."""
    world, now = ground.world, ground.world.clock.now()
    entry = EpochEntry(
        **world.facts(),
        trustee=Name("ch"),
        epoch=9,
        key=OpeningKey.generate().public,
        not_before=now,
        not_after=now + 9,
    )
    return encode(entry, world.trustees["ch"].keys.signing)


LIES: dict[str, Callable[[Ground, Extract, Statement], Extract]] = {
    "an entry that is not in the log": lambda g, e, s: _entry(e, 2, _forged(g)),
    "a proof of another entry": lambda g, e, s: dataclasses.replace(
        e, entries=(Proven(e.entries[0].entry, e.entries[1].proof), *e.entries[1:])
    ),
    "an entry at another place": lambda g, e, s: signed(
        g, e, s, indices=(*s.indices[:-1], s.indices[-1] + 1)
    ),
    "fewer entries than its statement names": lambda g, e, s: dataclasses.replace(
        e, entries=e.entries[:-1]
    ),
    "another car's": lambda g, e, s: signed(g, e, s, car=Name("car-8")),
    "another owner's": lambda g, e, s: signed(g, e, s, owner=Name("eve")),
    "of another beginning": lambda g, e, s: signed(g, e, s, since=1, indices=s.indices[1:]),
    "of another tree": lambda g, e, s: signed(g, e, s, root=b"x" * 32),
    "of a larger tree": lambda g, e, s: signed(g, e, s, size=s.size + 1),
    "of another region": lambda g, e, s: signed(g, e, s, region=Name("us")),
    "not signed by the vault": lambda g, e, s: dataclasses.replace(
        e, statement=s.seal(g.world.operator)
    ),
    "with a proof that goes on from nothing": lambda g, e, s: dataclasses.replace(
        e, consistency=(b"x" * 32,)
    ),
    "without the founding": lambda g, e, s: without(g, e, s, 0),
    "under a checkpoint without its quorum": lambda g, e, s: dataclasses.replace(
        e, note=g.world.note(s.size, s.root, cosigners=1)
    ),
    "under a tree that the log never had": lambda g, e, s: signed(
        g, dataclasses.replace(e, note=g.world.note(s.size, b"y" * 32)), s, root=b"y" * 32
    ),
}


@pytest.mark.parametrize("what", LIES)
def test_attack_a_vault_shows_a_car_what_is_not_so(ground: Ground, what: str) -> None:
    """Nothing of it is believed, and nothing kept; the next honest answer is."""
    bent(LIES[what])(ground)
    with pytest.raises(IntegrityError):
        ground.visit()
    assert (ground.car.size, ground.car.region) == (0, None)
    ground.bend = lambda data: data
    for left in (ground.world.home / "evidence").glob("*.suspect.note"):
        left.unlink()  # what a forged tree leaves behind as a suspicion
    ground.visit()
    same(ground)


def hidden(ground: Ground) -> tuple[int, int]:
    """A revocation that the vault does not show: after how many entries, and where."""
    ground.visit()
    since = ground.car.size
    at = ground.world.revoke("trustee", "is")
    ground.grow(600)
    ground.vault_reads()
    bent(lambda g, e, s: without(g, e, s, 0))(ground)
    return since, at


def test_attack_a_vault_leaves_out_what_concerns_a_car(ground: Ground) -> None:
    """Who looks finds it, and from then on wants to see it, looking or not."""
    world = ground.world
    since, at = hidden(ground)
    with pytest.raises(LeftOutError, match=f"left out log entry {at}"):
        ground.visit()
    assert ground.car.size == since
    assert ground.car.owed == frozenset({at})
    ground.car.close()
    ground.car = SparseState(world.home / "car.db")  # after a restart as well
    with pytest.raises(LeftOutError, match=f"left out log entry {at}"):
        ground.visit(3)
    ground.bend = lambda data: data
    ground.visit(3)
    same(ground)
    assert ground.car.owed == frozenset()


def test_attack_who_does_not_look_keeps_the_vaults_signed_lie(ground: Ground) -> None:
    """It goes on under what it knew; an auditor who gets the file sees what it was told."""
    world = ground.world
    since, at = hidden(ground)
    ground.visit(3)  # another bundle: nothing is found
    assert ground.car.party("trustee", "is") is not None
    first, lie = (world.home / STATEMENTS).read_bytes().splitlines()
    assert open_statement(first, "evidence")[0].size == since
    said, envelope = open_statement(lie, "evidence")
    envelope.verify(world.vault.public)
    assert said.since <= at < said.size
    assert at not in said.indices


def test_what_has_no_effect_convicts_nobody(ground: Ground) -> None:
    """Rubbish of anybody's may stand in a log; it need not be shown."""
    world = ground.world
    ground.visit()
    entry = CampaignEntry(**world.facts(), campaign=digest(b"mine"))
    world.say(entry, SigningKey.generate())  # not the operator
    world.append(b"no entry at all")
    world.append(world.party("trustee", "ch2", "notary", "CH", world.car.public))  # a used key
    other = SigningKey.generate().public  # of a car that ours has not heard of
    world.append(world.party("car", "another", "private", "DE", other))
    world.append(world.party("trustee", "li", "notary", "LI", other))
    later = world.facts() | {"time": world.clock.now() + 1}
    world.say(PolicyEntry(**later, policy=world.policy), world.operator)  # said before
    ground.grow(5)
    ground.vault_reads()
    ground.visit()
    same(ground)


def test_a_vault_that_lags_is_asked_again_and_a_log_that_shrank_is_not_believed(
    ground: Ground,
) -> None:
    """Two vaults behind one address need not have read as far; the same car must not go back."""
    ground.visit()
    ground.grow(3)
    with pytest.raises(UnavailableError, match="not read"):
        ground.told.make(CAR, ADA, ground.car.size + 1)
    old = ground.told.make(CAR, ADA, 0)
    ground.vault_reads()
    ground.visit()
    ground.bend = lambda data: old
    with pytest.raises(IntegrityError, match="went back"):
        ground.visit()


def test_attack_a_tree_that_does_not_go_on_from_the_last_is_refused(ground: Ground) -> None:
    """Although a quorum signed it, and whatever proof is shown."""
    ground.visit()
    ground.grow(9)
    ground.vault_reads()
    for proof in (lambda e: (), lambda e: e.consistency[1:], lambda e: e.consistency[::-1]):
        bent(lambda g, e, s, p=proof: dataclasses.replace(e, consistency=p(e)))(ground)  # type: ignore[misc]
        with pytest.raises(IntegrityError):
            ground.visit()
    root = b"w" * 32
    note = ground.world.note(ground.whole.size, root)
    bent(lambda g, e, s: signed(g, dataclasses.replace(e, note=note), s, root=root))(ground)
    with pytest.raises(IntegrityError):
        ground.visit()


def test_two_trees_of_one_size_freeze_a_car(ground: Ground) -> None:
    """As whoever reads the whole log: both notes are kept, and nothing is believed any more."""
    ground.visit()
    root = b"z" * 32
    note = ground.world.note(ground.car.size, root)
    bent(lambda g, e, s: signed(g, dataclasses.replace(e, note=note), s, root=root))(ground)
    with pytest.raises(IntegrityError, match="forked"):
        ground.visit()
    ground.bend = lambda data: data
    with pytest.raises(IntegrityError, match="forked"):
        ground.visit()


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said | {"v": 2},
        lambda said: said | {"more": 1},
        lambda said: said | {"note": 7},
        lambda said: said | {"statement": "?"},
        lambda said: said | {"statement": "AAAA"},
        lambda said: said | {"entries": {}},
        lambda said: said | {"consistency": ["AAAA"]},
        lambda said: said | {"consistency": 4},
        lambda said: said | {"entries": [{"entry": "AAAA"}]},
        lambda said: said | {"entries": [{"entry": "AAAA", "proof": "AAAA"}]},
        lambda said: said | {"entries": [{"entry": "AAAA", "proof": ["AAAA"]}]},
        lambda said: said | {"entries": [{"entry": "AAAA", "proof": []}] * 10_001},
    ],
)
def test_a_malformed_answer_is_an_outage(
    ground: Ground, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    """Not proof of anything, and nothing that the owner of a car could mend."""
    ground.bend = lambda data: canonical(change(parse_json(data, "test")))
    with pytest.raises(UnavailableError):
        ground.visit()
    ground.bend = lambda data: b"<html>"
    with pytest.raises(UnavailableError, match="malformed"):
        ground.visit()


@pytest.mark.parametrize(
    "more", [{"indices": (3, 2)}, {"indices": (2, 2)}, {"since": 9, "size": 3}, {"indices": (400,)}]
)
def test_a_statement_whose_entries_are_in_no_order_is_none(
    ground: Ground, more: dict[str, object]
) -> None:
    """Ascending, from the entry that was asked for, within the tree."""
    extract = Extract.parse(ground.told.make(CAR, ADA, 0), "test")
    statement, _ = open_statement(extract.statement, "test")
    with pytest.raises(InputError, match="in order"):
        open_statement(signed(ground, extract, statement, **more).statement, "test")


def test_one_checkpoint_serves_many_for_a_moment(ground: Ground) -> None:
    """Unless somebody has read further already."""
    world = ground.world
    told = Extracts(
        world.home / "whole.db", ground.fetch, world.logs.policy, world.vault, recent=60.0
    )

    def size(since: int) -> int:
        extract = Extract.parse(told.make(CAR, ADA, since), "test")
        return open_statement(extract.statement, "test")[0].size

    first = size(0)
    ground.grow(5)
    ground.vault_reads()
    assert size(0) == first
    assert size(first + 5) == size(0) == first + 5


def test_a_tile_that_was_served_wrong_is_read_again(ground: Ground) -> None:
    """It makes one answer fail, and is not kept."""
    bad = True

    def fetch(path: str) -> bytes:
        data = ground.fetch(path)
        return data[:-1] + b"?" if bad and path.startswith("tile/0") else data

    world = ground.world
    told = Extracts(world.home / "whole.db", fetch, world.logs.policy, world.vault, recent=60.0)
    with pytest.raises(IntegrityError):
        told.make(CAR, ADA, 0)
    bad = False
    Extract.parse(told.make(CAR, ADA, 0), "test")


def test_at_most_visits_nothing_is_looked_at(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of sixteen reads two bundles whole; which, the car's dice say."""
    dice = iter([7, 1, 0])
    monkeypatch.setattr("incamera.ledger.sparse.secrets.randbelow", lambda _: next(dice))
    bundles = list[str]()

    def fetch(path: str) -> bytes:
        if "entries" in path:
            bundles.append(path)
        return ground.fetch(path)

    for looked in (0, 0, 2):
        ground.grow(600)
        ground.vault_reads()
        reader, clock = LogReader(fetch, ground.world.logs.policy), ground.world.clock
        SparseFollower(reader, ground.car, clock, ground.ask, car=CAR, owner=ADA).follow()
        assert len(bundles) == looked


def test_names_that_are_none_are_refused(ground: Ground) -> None:
    """Before anything is looked up."""
    for car, owner in (("", "ada"), ("car-7", "a b"), ("x" * 200, "ada")):
        with pytest.raises(Error):
            ground.told.make(car, owner, 0)
