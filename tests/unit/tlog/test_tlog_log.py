# SPDX-License-Identifier: Apache-2.0
"""The writer and the reader: batches, tiles, proofs, refreshing, and refusing to fork."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from incamera.clock import FixedClock
from incamera.encoding import base64_text
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.tlog import FolderFetch, Log, LogReader, Policy, Proof, Signer, Witness, merkle, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.keys import generate_cosigner
from incamera.tlog.log import Appended, WitnessClient
from incamera.tlog.note import sign
from incamera.tlog.tree import TileTree
from world_tlog import ORIGIN, START, LogWorld, check_log, ed25519_key, log_world


@pytest.fixture
def world(tmp_path: Path) -> LogWorld:
    """An empty log with three witnesses."""
    return log_world(tmp_path)


def entries(start: int, end: int) -> list[bytes]:
    """Entries that say their own index."""
    return [f"entry {number}".encode() for number in range(start, end)]


def test_an_empty_log_is_witnessed(world: LogWorld) -> None:
    """A new log already publishes a cosigned checkpoint of size 0, and its policy."""
    witnessed = world.reader().checkpoint()
    assert witnessed.checkpoint == Checkpoint("log.example/eu", 0, merkle.EMPTY)
    assert witnessed.time(world.policy) == START
    assert (world.public / "tlog-policy").read_bytes() == world.policy.text
    check_log(world, [])


def test_batches_of_all_sizes(world: LogWorld) -> None:
    """Appends that end before, on and after a tile's edge all leave a log that verifies whole."""
    known: list[bytes] = []
    for count in (1, 2, 252, 1, 1, 255, 256, 600, 1):
        batch = entries(len(known), len(known) + count)
        assert world.log.append(batch) == Appended(len(known), len(known) + count)
        known += batch
        check_log(world, known)
    assert world.log.size == len(known) == 1369
    assert world.log.entry(777) == b"entry 777"


def test_partials_stay_until_the_full_tile_is_published(world: LogWorld) -> None:
    """Each published size keeps its partial tiles; a full tile's partials go at the next append."""
    for start, end in ((0, 100), (100, 200)):
        world.log.append(entries(start, end))
    widths = {path.name for path in (world.public / "tile/0/000.p").iterdir()}
    assert widths == {"100", "200"}
    world.log.append(entries(200, 300))
    assert (world.public / "tile/0/000.p").exists()
    world.log.append(entries(300, 301))
    assert not (world.public / "tile/0/000.p").exists()
    assert not (world.public / "tile/entries/000.p").exists()
    assert {path.name for path in (world.public / "tile/0/001.p").iterdir()} == {"44", "45"}
    check_log(world, entries(0, 301))


def test_a_reader_falls_back_to_the_full_tile(world: LogWorld) -> None:
    """Under an older checkpoint, entries and proofs still work after its partials are gone."""
    world.log.append(entries(0, 200))
    reader = world.reader()
    size = reader.checkpoint().checkpoint.size
    for count in (300, 301):
        world.log.append(entries(world.log.size, count))
    assert not (world.public / "tile/0/000.p").exists()
    assert list(reader.entries(0, size, size)) == entries(0, size)
    assert reader.inclusion(150, size)
    reader.checkpoint()
    assert reader.consistency(size, 301)


@pytest.mark.parametrize("batch", [[], [b"x" * 65536], [b"fine", b"x" * 70000]])
def test_entries_that_cannot_be_logged(world: LogWorld, batch: list[bytes]) -> None:
    """An empty batch, or an entry past 65535 bytes, is refused before anything is written."""
    with pytest.raises(InputError):
        world.log.append(batch)
    assert not (world.state / "batch").exists()


def test_extreme_entries(world: LogWorld) -> None:
    """The empty entry and the longest one are both fine, and two equal entries get two places."""
    batch = [b"", b"x" * 65535, b"same", b"same"]
    world.log.append(batch)
    world.log.append([b"same"])
    check_log(world, [*batch, b"same"])


def test_two_log_objects_share_a_log(world: LogWorld) -> None:
    """Another process may append in between: each act reads the state again."""
    other = world.reopened()
    world.log.append(entries(0, 3))
    assert other.append(entries(3, 5)) == Appended(3, 5)
    assert world.log.append(entries(5, 6)) == Appended(5, 6)
    check_log(world, entries(0, 6))


def append_five(log: Log, number: int) -> None:
    """Append, five times in a row."""
    for turn in range(5):
        log.append([b"%d %d" % (number, turn)])


def test_threads_share_a_log(world: LogWorld) -> None:
    """Appends from several threads take turns and all land."""
    logs = [world.log, world.log, world.reopened()]
    threads = [
        threading.Thread(target=append_five, args=(log, number)) for number, log in enumerate(logs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(check_log(world)) == sorted(b"%d %d" % (n, i) for n in range(3) for i in range(5))


def test_refresh_moves_the_witness_time(world: LogWorld) -> None:
    """A quiet log is cosigned again, the tree unchanged, but not more often than asked."""
    world.log.append(entries(0, 3))
    world.clock.advance(1000)
    assert world.log.refresh(older_than=2000).time(world.policy) == START
    assert world.log.refresh(older_than=500).time(world.policy) == START + 1000
    assert world.reader().checkpoint().time(world.policy) == START + 1000
    check_log(world, entries(0, 3))


def test_one_witness_down_is_fine_two_are_not(world: LogWorld) -> None:
    """The quorum decides; below it the batch waits and the same call again finishes it."""
    world.witnesses[0].down = True
    world.log.append(entries(0, 2))
    world.witnesses[1].down = True
    with pytest.raises(UnavailableError, match="quorum"):
        world.log.append(entries(2, 4))
    assert world.log.size == 2
    world.witnesses[0].down = False
    assert world.log.append(entries(2, 4)) == Appended(2, 4)
    world.witnesses[1].down = False
    assert world.log.append(entries(4, 5)) == Appended(4, 5)
    check_log(world, entries(0, 5))


def test_what_waited_is_published_with_the_next_batch(world: LogWorld) -> None:
    """Other entries after an outage come behind the ones that waited."""
    for witness in world.witnesses:
        witness.down = True
    with pytest.raises(UnavailableError):
        world.log.append(entries(0, 1))
    for witness in world.witnesses:
        witness.down = False
    reopened = world.reopened()
    assert reopened.append([b"other"]).first_index in (0, 1)
    assert check_log(world)[-1] == b"other"


def test_nothing_new_is_taken_while_no_quorum_confirms(world: LogWorld) -> None:
    """After a restart the witnesses are asked first: without them nothing is written."""
    world.log.append(entries(0, 2))
    reopened = world.reopened()
    for witness in world.witnesses:
        witness.down = True
    before = (world.state / "batch").read_bytes()
    with pytest.raises(UnavailableError):
        reopened.append([b"new"])
    assert (world.state / "batch").read_bytes() == before


class Watched:
    """A witness whose requests are kept."""

    def __init__(self, inner: WitnessClient, seen: list[bytes]) -> None:
        self.inner = inner
        self.seen = seen

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """As the witness."""
        self.seen.append(body)
        return self.inner.add_checkpoint(body)


def test_a_restored_backup_does_not_fork_the_log(world: LogWorld, tmp_path: Path) -> None:
    """With state and public both from an old backup, the witnesses know more: nothing is signed."""
    world.log.append(entries(0, 2))
    shutil.copytree(world.state, tmp_path / "old-state")
    shutil.copytree(world.public, tmp_path / "old-public")
    world.log.append(entries(2, 4))
    for name in ("state", "public"):
        shutil.rmtree(tmp_path / name)
        shutil.move(tmp_path / f"old-{name}", tmp_path / name)
    seen: list[bytes] = []
    watched = [Watched(each, seen) for each in world.witnesses]
    with pytest.raises(IntegrityError, match="cosigned size 4"):
        world.reopened(watched).append([b"fork"])
    assert seen
    assert all(b"\n2\n" in body for body in seen)


class Recorder:
    """Keeps what a witness answers, and plays it again."""

    def __init__(self, inner: WitnessClient) -> None:
        self.inner: WitnessClient | None = inner
        self.said: dict[bytes, tuple[int, bytes]] = {}

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """The answer to this very tree, of now or of then."""
        tree = body.split(b"\n\n")[1]
        if self.inner is not None:
            self.said[tree] = self.inner.add_checkpoint(body)
        return self.said[tree]


def test_recorded_answers_confirm_no_restored_log(world: LogWorld, tmp_path: Path) -> None:
    """Somebody between log and witnesses plays what they said before the backup was made."""
    recorders = [Recorder(each) for each in world.witnesses]
    log = world.reopened(recorders)
    log.append(entries(0, 2))
    for name in ("state", "public"):
        shutil.copytree(tmp_path / name, tmp_path / f"old-{name}")
    log.append(entries(2, 4))
    for name in ("state", "public"):
        shutil.rmtree(tmp_path / name)
        shutil.move(tmp_path / f"old-{name}", tmp_path / name)
    world.clock.advance(3600)
    for each in recorders:
        each.inner = None
    with pytest.raises(UnavailableError, match="not of now"):
        world.reopened(recorders).append([b"fork"])
    assert (tmp_path / "state" / "batch").read_bytes().count(b"fork") == 0


def test_an_old_state_beside_a_newer_public_is_refused(world: LogWorld, tmp_path: Path) -> None:
    """State restored alone: more was published than it knows, so the log does not even open."""
    world.log.append(entries(0, 2))
    shutil.copytree(world.state, tmp_path / "old")
    world.log.append(entries(2, 4))
    shutil.rmtree(world.state)
    shutil.move(tmp_path / "old", world.state)
    with pytest.raises(IntegrityError, match="2 entries, but 4 were published"):
        world.reopened()


@pytest.mark.parametrize("name", ["tile/0/000.p/3", "tile/entries/000.p/3", "checkpoint"])
def test_damaged_public_files_stop_the_writer(world: LogWorld, name: str) -> None:
    """A log whose own tiles or checkpoint were altered does not go on."""
    world.log.append(entries(0, 3))
    path = world.public / name
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        world.reopened().append([b"x"])


@pytest.mark.parametrize("name", ["tree", "batch"])
@pytest.mark.parametrize("data", [b"", b"{}\n", b"\xff", b"incamera-batch-1 1\n\x00\x05ab"])
def test_damaged_state_stops_the_writer(world: LogWorld, name: str, data: bytes) -> None:
    """A log that cannot read what it decided does not sign."""
    world.log.append(entries(0, 3))
    (world.state / name).write_bytes(data)
    with pytest.raises(IntegrityError):
        world.reopened().append([b"x"])


def test_opening_what_is_not_there_or_not_ours(world: LogWorld, tmp_path: Path) -> None:
    """No log, a log twice, another key, another policy: each is said plainly."""
    arguments = (world.witnesses, world.policy, world.clock)
    with pytest.raises(InputError, match="no log here"):
        Log(tmp_path / "p", tmp_path / "s", world.signer, *arguments)
    with pytest.raises(InputError, match="a log already"):
        Log.create(world.public, world.state, world.signer, *arguments)
    with pytest.raises(InputError, match="does not name the log"):
        Log(world.public, world.state, Signer("other", ed25519_key("o")), *arguments)
    policy = Policy.parse(world.policy.text + b"# changed\n")
    with pytest.raises(InputError, match="not the policy"):
        Log(world.public, world.state, world.signer, world.witnesses, policy, world.clock)


class Liar:
    """A witness that answers whatever it was told to."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers = list(answers)

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """The next answer; 500 when there is none left."""
        return self.answers.pop(0) if self.answers else (500, b"")


@pytest.mark.parametrize(
    "answers",
    [
        [(500, b"")],
        [(200, b"")],
        [(200, b"garbage")],
        [(200, "— witness.example/w1 AAAAAAAA\n".encode())],
        [(409, b"garbage\n")],
        [(409, b"0\n"), (409, b"0\n")],
        [(403, b"no")],
    ],
)
def test_a_witness_that_answers_nonsense_does_not_count(
    world: LogWorld, answers: list[tuple[int, bytes]]
) -> None:
    """Odd answers of one witness are as good as none; the others carry the quorum."""
    log = world.reopened([Liar(*answers), *world.witnesses[1:]])
    log.append(entries(0, 3))
    check_log(world, entries(0, 3))


def test_an_older_witness_that_saw_another_tree_of_this_size_stops_the_log(
    world: LogWorld,
) -> None:
    """tlog-witness 1.0 answers 409 and the very size where 1.1 answers 422: both mean a fork."""
    world.log.append(entries(0, 3))
    log = world.reopened([Liar((409, b"3\n"), (409, b"3\n")), *world.witnesses[1:]])
    with pytest.raises(IntegrityError, match="another tree"):
        log.append(entries(3, 4))


class Late:
    """A witness whose answers come after the others made the quorum."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers = list(answers)
        self.go = threading.Event()
        self.asked = 0

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """The next answer, once it may go."""
        self.asked += 1
        assert self.go.wait(20)
        return self.answers.pop(0) if self.answers else (500, b"")


@pytest.mark.parametrize(
    ("answers", "said"),
    [([(422, b"no")], "another tree"), ([(409, b"7\n")], "cosigned size 7")],
    ids=["fork", "larger tree"],
)
def test_what_a_slow_witness_says_after_the_quorum_stops_the_log(
    world: LogWorld, answers: list[tuple[int, bytes]], said: str
) -> None:
    """A fork, or a larger tree, told when its round was over: from then on nothing is signed."""
    late = Late(*answers)
    seen: list[bytes] = []
    log = world.reopened([*(Watched(each, seen) for each in world.witnesses[:2]), late])
    log.refresh()
    assert log.append(entries(0, 3)) == Appended(0, 3)
    late.go.set()
    signed = len(seen)
    for _ in range(200):
        try:
            log.refresh(older_than=1 << 30)
            log._witnesses.heard(log.origin, 3)  # raises once it has answered
        except IntegrityError:
            break
        threading.Event().wait(0.02)
    before = (world.state / "batch").read_bytes()
    for _ in range(2):
        with pytest.raises(IntegrityError, match=said):
            log.append(entries(3, 4))
        with pytest.raises(IntegrityError, match=said):
            log.refresh()
    assert len(seen) == signed
    assert late.asked <= 2
    assert (world.state / "batch").read_bytes() == before


def test_a_larger_tree_that_we_have_caught_up_with_stops_nobody(world: LogWorld) -> None:
    """Two processes share a log: one hears late of what the other has appended meanwhile."""
    late = Late((409, b"2\n"))
    log = world.reopened([*world.witnesses[:2], late])
    log.append(entries(0, 1))
    world.log.append(entries(1, 2))
    late.go.set()
    assert log.append(entries(2, 3)) == Appended(2, 3)
    check_log(world, entries(0, 3))


class Shared:
    """A witness that somebody else submits the same tree to, between two calls of ours."""

    def __init__(self, inner: WitnessClient, public: Path) -> None:
        self.inner = inner
        self.public = public
        self.statuses: list[int] = []

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """As the witness; the other comes right after our first call."""
        status, answer = self.inner.add_checkpoint(body)
        self.statuses.append(status)
        if len(self.statuses) == 1:
            tree = TileTree(FolderFetch(self.public), 5)
            hashes = merkle.consistency_proof(3, 5, tree.get)
            proof = "".join(f"{base64_text(each)}\n" for each in hashes)
            other = f"old 3\n{proof}\n".encode() + body.partition(b"\n\n")[2]
            assert self.inner.add_checkpoint(other)[0] == 200
        return status, answer


def test_a_witness_that_moved_on_to_our_own_tree_tells_of_no_fork(world: LogWorld) -> None:
    """An overtaken leader submits the decided tree as well: the 409 is about the old size."""
    world.log.append(entries(0, 3))
    for each in world.witnesses:
        each.down = True
    with pytest.raises(UnavailableError):
        world.log.append(entries(3, 5))
    for each in world.witnesses:
        each.down = False
    shared = Shared(world.witnesses[0], world.public)
    log = world.reopened([shared, *world.witnesses[1:]])
    assert len(log.refresh().times) == 3
    assert shared.statuses == [409, 409, 200]
    log.append(entries(5, 6))
    check_log(world, entries(0, 6))


def test_a_replayed_cosignature_does_not_count(world: LogWorld) -> None:
    """A line over another tree is refused although the key is known."""
    world.log.append(entries(0, 1))
    old = (world.public / "checkpoint").read_bytes().split(b"\n")[5] + b"\n"
    log = world.reopened([Liar((200, old), (200, old)), world.witnesses[1]])
    with pytest.raises(UnavailableError, match="does not make the quorum"):
        log.append(entries(1, 2))


def test_reading_needs_a_verified_checkpoint(world: LogWorld) -> None:
    """A reader asks for nothing that no checkpoint it verified implies."""
    world.log.append(entries(0, 3))
    reader = world.reader()
    with pytest.raises(InputError, match="no verified checkpoint"):
        list(reader.entries(0, 3, 3))
    with pytest.raises(InputError, match="no verified checkpoint"):
        reader.inclusion(0, 3)
    reader.checkpoint()
    for bad in ((2, 1), (-1, 1), (0, 4)):
        with pytest.raises(InputError):
            list(reader.entries(*bad, 3))
    with pytest.raises(InputError):
        reader.inclusion(3, 3)


def test_a_fork_shown_to_one_reader_is_noticed(world: LogWorld) -> None:
    """Two verified roots for one size is an integrity failure of the log."""
    world.log.append(entries(0, 3))
    reader = world.reader()
    tree = reader.checkpoint().checkpoint
    with pytest.raises(IntegrityError, match="two different roots"):
        reader.trust(Checkpoint(tree.origin, tree.size, merkle.EMPTY))


@pytest.mark.parametrize("at", [0, 1, 2, 5, -1])
def test_altered_entries_are_never_given_out(world: LogWorld, at: int) -> None:
    """One flipped byte in a bundle stops the reader before it yields anything of it."""
    world.log.append(entries(0, 300))
    path = world.public / "tile/entries/000"
    data = bytearray(path.read_bytes())
    data[at] ^= 0x80
    path.write_bytes(data)
    reader = world.reader()
    reader.checkpoint()
    with pytest.raises(IntegrityError, match="tile/entries/000"):
        next(reader.entries(0, 300, 300))


def test_withheld_entries_are_noticed(world: LogWorld) -> None:
    """Hashes without bundles are no log: the reader fails instead of skipping."""
    world.log.append(entries(0, 3))
    shutil.rmtree(world.public / "tile/entries")
    reader = world.reader()
    reader.checkpoint()
    with pytest.raises(UnavailableError):
        list(reader.entries(0, 3, 3))


def test_altered_hash_tiles_are_noticed(world: LogWorld) -> None:
    """A wrong hash in a tile makes proofs fail, not lie."""
    world.log.append(entries(0, 300))
    path = world.public / "tile/0/000"
    path.write_bytes(path.read_bytes()[32:] + path.read_bytes()[:32])
    reader = world.reader()
    reader.checkpoint()
    with pytest.raises(IntegrityError):
        reader.inclusion(5, 300)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../state/tree", "tile/../checkpoint", "a//b"])
def test_fetch_stays_in_its_folder(world: LogWorld, path: str) -> None:
    """A folder reader does not follow a path out of the folder."""
    with pytest.raises(InputError):
        FolderFetch(world.public)(path)


def test_proofs_verify_offline(world: LogWorld) -> None:
    """A .tlog-proof holds for its entry, index and log, and for nothing else."""
    world.log.append(entries(0, 5))
    data = world.log.proof(3)
    proof = Proof.parse(data)
    assert proof.format() == data
    assert proof.verify(b"entry 3", world.policy).checkpoint.size == 5
    with pytest.raises(IntegrityError):
        proof.verify(b"entry 2", world.policy)
    with pytest.raises(IntegrityError):
        Proof(2, proof.hashes, proof.note).verify(b"entry 3", world.policy)
    with pytest.raises(IntegrityError):
        Proof(3, [*proof.hashes, merkle.EMPTY], proof.note).verify(b"entry 3", world.policy)
    unwitnessed = sign(proof.note.split(b"\n\n")[0] + b"\n", [world.signer])
    with pytest.raises(IntegrityError, match="quorum"):
        Proof(3, proof.hashes, unwitnessed).verify(b"entry 3", world.policy)
    forged = Checkpoint("log.example/eu", 1, merkle.leaf_hash(b"forged"))
    note = sign(forged.text, [Signer("x", ed25519_key("x"))])
    with pytest.raises(IntegrityError):
        Proof(0, [], note).verify(b"forged", world.policy)


HASH = "A" * 43 + "="


@pytest.mark.parametrize(
    "data",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\n\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex x\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex -5\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 05\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex \uff11\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nextra !!\nindex 0\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nextra QQ==\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n!!\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + (HASH + "\n") * 64 + "\nnote\n",
    ],
)
def test_malformed_proofs(data: str) -> None:
    """A proof file that is not written the one right way is bad input."""
    with pytest.raises(InputError):
        Proof.parse(data.encode())


def test_extra_data_comes_back() -> None:
    """Extra data is carried, and told apart from none at all."""
    for extra in (None, b"", b"more"):
        assert Proof.parse(Proof(7, [b"x" * 32], b"note\n", extra).format()).extra == extra


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/5", "tile/00/005", "tile/64/000", "tile/0/x000/005", "tile/0/005.p/256",
        "tile/0/005.p/0", "tile/0/005.p/01", "tile/0/1000", "tile/0/001/005", "tile/entries/5",
        "tile/-1/000", "tile/0/005\n", "checkpoint", "tile/0/\uff10\uff10\uff10",
        "tile/0/005.p/257", "tile/0/005.p/999", "tile/0/" + "x001/" * 2000 + "005",
        "tile/0/x036/x028/x797/x018/x963/968", "tile/6/128", "tile/7/001",
    ],
)  # fmt: skip
def test_paths_that_are_no_tiles(path: str) -> None:
    """Only the one right way to write a tile path is one, and no tree has tiles past its end."""
    assert tile.parse_path(path) is None


@pytest.mark.parametrize(
    "path",
    ["tile/0/x036/x028/x797/x018/x963/967", "tile/6/127", "tile/7/000.p/127", "tile/63/000.p/1"],
)
def test_the_last_tiles_there_can_be(path: str) -> None:
    """The paths of the largest tree, and of the highest level, are paths."""
    name = tile.parse_path(path)
    assert name is not None
    assert name.path == path


def test_reader_remembers_few_trees(world: LogWorld) -> None:
    """A reader that lives long forgets old checkpoints instead of growing."""
    reader = LogReader(FolderFetch(world.public), world.policy)
    for number in range(12):
        world.log.append([b"%d" % number])
        reader.checkpoint()
    with pytest.raises(InputError):
        reader.inclusion(0, 1)
    assert reader.inclusion(0, 12)


def test_old_and_post_quantum_witnesses_make_one_quorum(tmp_path: Path) -> None:
    """An Ed25519 and an ML-DSA-44 witness cosign, remember, and refuse a fork alike."""
    clock, signer = FixedClock(START), Signer(ORIGIN, ed25519_key("log"))
    cosigners = [
        generate_cosigner("witness.example/new", ml_dsa=True),
        generate_cosigner("witness.example/old"),
    ]
    lines = "".join(f"witness w{n} {each.vkey}\n" for n, each in enumerate(cosigners))
    policy = Policy.parse(f"log {signer.vkey}\n{lines}group g all w0 w1\nquorum g\n")

    def witnesses() -> list[Witness]:
        logs = {ORIGIN: signer.verifier}
        return [Witness(tmp_path / each.name, each, logs, clock) for each in cosigners]

    places = tmp_path / "public", tmp_path / "state"
    log = Log.create(*places, signer, witnesses(), policy, clock)
    log.append(entries(0, 300))
    again = Log(*places, signer, witnesses(), policy, clock)
    again.append(entries(300, 301))
    assert dict(again.checkpoint().times) == {"w0": START, "w1": START}
    assert Proof.parse(again.proof(300)).verify(entries(300, 301)[0], policy)
    fork = sign(Checkpoint(ORIGIN, 301, b"x" * 32).text, [signer])
    assert {each.add_checkpoint(b"old 301\n\n" + fork)[0] for each in witnesses()} == {422}
