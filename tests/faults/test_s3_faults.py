# SPDX-License-Identifier: Apache-2.0
"""A vault whose bucket fails on purpose: nothing acknowledged is lost, nothing erased stays."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

import engines
from faulty import Faulty, Word, faulty
from incamera.errors import Error, UnavailableError
from incamera.ids import Digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import ErasureEntry
from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import read_capsule
from incamera.tlog import FolderFetch
from incamera.vault import Vault
from incamera.vault.bucket import Bucket
from incamera.vault.s3 import S3Blobs
from world import World, quick_folder

COUNT = 10


@pytest.fixture(scope="module")
def engine() -> Iterator[engines.Engine]:
    """One endpoint for the module."""
    with engines.s3() as found:
        yield found


class Scene:
    """A world whose vault keeps its capsules in a bucket, at the end of a road that breaks."""

    def __init__(self, folder: Path, road: Faulty) -> None:
        self.world, self.road = World(folder), road
        self.bucket = Bucket(engines.BUCKET, folder.name, road.url, "eu-central-1", "a", "b")
        self.blobs = S3Blobs(self.bucket, folder, seconds=2)
        self.vault = self.open()

    def open(self) -> Vault:
        """As after a restart."""
        world = self.world
        return Vault(
            world.home / "vault",
            world.vault,
            world.logs.log,
            FolderFetch(world.public),
            world.clock,
            blobs=self.blobs,
        )

    def holds(self, path: Path) -> bool:
        """True if the bucket has every byte of the capsule at ``path``."""
        name = read_capsule(path).digest
        return b"".join(self.blobs.pieces(name)) == path.read_bytes()

    def proven(self, receipt: bytes | Error, path: Path) -> bool:
        """True if ``receipt`` is one, for the capsule at ``path``."""
        if isinstance(receipt, Error):
            assert isinstance(receipt, UnavailableError), receipt
            return False
        region = self.world.state().region
        assert region is not None
        check_receipt(receipt, read_capsule(path).digest, region, self.world.logs.policy)
        return True


@pytest.fixture
def scene(engine: engines.Engine) -> Iterator[Scene]:
    """A world of its own."""
    with quick_folder() as folder, faulty(engine.url) as road:
        yield Scene(folder, road)


def test_whatever_the_store_answers_no_receipt_is_given_for_what_it_lacks(scene: Scene) -> None:
    """500, 503, cut and lost answers while a batch is admitted; asked again, all are kept once."""
    turn = count()
    bad: list[Word] = ["500", "cut", "503", "lost", "500", "cut", "503", "lost", "well"]
    scene.road.rule = lambda method, path: bad[next(turn) % len(bad)] if method == "PUT" else "well"
    paths = [scene.world.seal() for _ in range(COUNT)]
    receipts = scene.vault.admit_all(paths)
    assert scene.road.count("lost")
    assert scene.road.count("503")
    for path, receipt in zip(paths, receipts, strict=True):
        assert not scene.proven(receipt, path) or scene.holds(path)
    scene.road.rule = lambda method, path: "well"
    again = scene.open()
    for path, receipt in zip(paths, again.admit_all(paths), strict=True):
        assert scene.proven(receipt, path)
        assert scene.holds(path)
    assert len(list(again.find(status="kept"))) == COUNT
    assert again.read_through(100) == []
    assert again.sweep() == []


def test_while_the_store_is_down_nothing_is_admitted_and_nothing_taken_for_lost(
    scene: Scene,
) -> None:
    """A capsule that was kept stays so; the vault goes on when the store does."""
    kept, late = scene.world.seal(), scene.world.seal()
    assert scene.proven(scene.vault.admit_all([kept])[0], kept)
    scene.road.rule = lambda method, path: "503"
    assert not scene.proven(scene.vault.admit_all([late])[0], late)
    with pytest.raises(UnavailableError):
        scene.vault.read_through(100)
    scene.road.rule = lambda method, path: "well"
    assert [row.status for row in scene.open().find(status="kept")] == ["kept"]
    assert scene.proven(scene.vault.admit_all([late])[0], late)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_erasure_that_the_store_refused_is_completed_at_the_next_opening(
    scene: Scene, method: str
) -> None:
    """It stands in the log first; so it is never forgotten."""
    path = scene.world.seal()
    scene.vault.admit_all([path])
    name = read_capsule(path).digest
    scene.road.rule = lambda asked, _: "500" if asked == method else "well"
    entry = ErasureEntry(
        **scene.world.facts(), capsules=(name,), by="owner", name="ada", reason="mine"
    )
    with pytest.raises(UnavailableError):
        scene.vault.erase(encode(entry, scene.world.owner.signing))
    scene.road.rule = lambda asked, _: "well"
    scene.open()
    assert not scene.blobs.has(Digest(name))
    assert list(scene.blobs.names()) == []
