# SPDX-License-Identifier: Apache-2.0
"""Capsules in a bucket, over HTTP: the same store as files, whatever the network and it do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest

import engines
from faulty import Faulty, Word, faulty
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, digest
from incamera.vault.blobs import Blobs, FileBlobs
from incamera.vault.bucket import Bucket
from incamera.vault.s3 import S3Blobs
from incamera.wire import egress

NUMBERS = count()
LONG = 21_000_000  # three parts


@pytest.fixture(scope="module")
def engine() -> Iterator[engines.Engine]:
    """One endpoint for the module."""
    with engines.s3() as found:
        yield found


def bucket(url: str, name: str = engines.BUCKET, prefix: str | None = None) -> Bucket:
    """A prefix of its own in the bucket at ``url``."""
    prefix = f"eu/{next(NUMBERS)}" if prefix is None else prefix
    return Bucket(name, prefix, url, "eu-central-1", "key", "secret")


@pytest.fixture(params=["files", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, engine: engines.Engine) -> Blobs:
    """An empty store, of either kind."""
    if request.param == "files":
        return FileBlobs(tmp_path / "blobs")
    return S3Blobs(bucket(engine.url), tmp_path, seconds=10)


@pytest.fixture
def proxy(engine: engines.Engine) -> Iterator[Faulty]:
    """A road to the bucket that can be broken."""
    with faulty(engine.url) as found:
        yield found


def batch(number: int, size: int = 3000) -> list[tuple[Digest, list[bytes]]]:
    """So many blobs of two pieces each."""
    data = [os.urandom(size) for _ in range(number)]
    return [(digest(each), [each[:1000], each[1000:]]) for each in data]


def altered(size: int) -> Iterator[bytes]:
    """A source that turns out to be wrong after ``size`` bytes."""
    for _ in range(size >> 20):
        yield bytes(1 << 20)
    raise IntegrityError("altered")


def boto(engine: engines.Engine) -> Any:
    """Another client, to set up and look behind."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    return boto3.client("s3", endpoint_url=engine.url, region_name="us-east-1", **keys)


# The protocol, over both engines


def test_both_engines_keep_list_read_and_remove_the_same_way(blobs: Blobs) -> None:
    """One, many, ranges, sizes, the file, and gone."""
    items = batch(20)
    blobs.put(*items[0])
    assert blobs.put_all(items[1:]) == [None] * 19
    assert blobs.put_all([]) == []
    assert set(blobs.names()) == {name for name, _ in items}
    for name, pieces in items:
        data = b"".join(pieces)
        assert (blobs.has(name), blobs.size(name)) == (True, len(data))
        assert b"".join(blobs.pieces(name)) == data
        assert b"".join(blobs.pieces(name, 999, 1002)) == data[999:1002]
        assert b"".join(blobs.pieces(name, 2990, 9000)) == data[2990:9000]
        assert b"".join(blobs.pieces(name, 9000)) == b""
        with blobs.local(name) as path:
            assert path.read_bytes() == path.read_bytes() == data
            assert path.stat().st_size == len(data)
    for name, _ in items[:10] * 2:
        blobs.remove(name)
    assert set(blobs.names()) == {name for name, _ in items[10:]}
    assert blobs.tidy() == 0


def test_both_engines_say_what_is_not_there_before_the_first_byte(
    blobs: Blobs,
) -> None:
    """An unknown name is wrong input, in every way to read it."""
    unknown = digest(b"unknown")
    for ask in (blobs.size, blobs.pieces, lambda name: blobs.local(name).__enter__()):
        with pytest.raises(InputError, match=f"no capsule {unknown} is kept here"):
            ask(unknown)
    assert not blobs.has(unknown)


@pytest.mark.parametrize("size", [1 << 20, LONG])
def test_in_both_engines_a_source_that_fails_changes_nothing(blobs: Blobs, size: int) -> None:
    """Alone or in a batch, at its beginning or in the middle of a part."""
    items = batch(3)
    blobs.put(items[1][0], [b"as it was"])
    with pytest.raises(IntegrityError, match="altered"):
        blobs.put(items[1][0], altered(size))
    told = blobs.put_all([items[0], (items[1][0], altered(size)), items[2]])
    assert [type(each) for each in told] == [type(None), IntegrityError, type(None)]
    assert b"".join(blobs.pieces(items[1][0])) == b"as it was"


def test_both_engines_keep_a_blob_that_is_longer_than_a_part(blobs: Blobs) -> None:
    """Whole, and read across its parts."""
    data = os.urandom(LONG)
    name = digest(data)
    blobs.put(name, (data[at : at + 300_000] for at in range(0, LONG, 300_000)))
    assert blobs.size(name) == LONG
    assert digest(b"".join(blobs.pieces(name))) == name
    assert b"".join(blobs.pieces(name, LONG // 3, 2 * LONG // 3)) == data[LONG // 3 : 2 * LONG // 3]


# What a bucket may do


def test_a_source_that_fails_leaves_no_parts_in_the_bucket(engine: engines.Engine) -> None:
    """What was sent of a long blob is taken back."""
    with pytest.raises(IntegrityError):
        S3Blobs(bucket(engine.url)).put(digest(b"long"), altered(LONG))
    assert "Uploads" not in boto(engine).list_multipart_uploads(Bucket=engines.BUCKET)


def test_a_copy_to_read_has_no_name_that_could_be_left_behind(
    engine: engines.Engine, tmp_path: Path
) -> None:
    """A process that is killed leaves no ciphertext that an erasure would miss."""
    blobs = S3Blobs(bucket(engine.url), tmp_path)
    blobs.put(digest(b"x"), [b"x"])
    with blobs.local(digest(b"x")) as path:
        assert path.read_bytes() == b"x"
        assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_keeps_versions_is_refused_at_opening(engine: engines.Engine) -> None:
    """There, nothing that was erased would be gone."""
    behind = boto(engine)
    behind.create_bucket(Bucket="versions")
    settled = {"Status": "Enabled"}
    behind.put_bucket_versioning(Bucket="versions", VersioningConfiguration=settled)
    with pytest.raises(InputError, match="keeps old versions") as told:
        S3Blobs(bucket(engine.url, "versions"))
    assert told.value.hint is not None
    assert "delete all versions" in told.value.hint


def test_versions_switched_on_later_stop_writing_and_fail_erasing_loudly(
    engine: engines.Engine,
) -> None:
    """Neither is acknowledged: what is said to be gone must be gone."""
    behind = boto(engine)
    behind.create_bucket(Bucket="later")
    blobs, items = S3Blobs(bucket(engine.url, "later")), batch(2)
    blobs.put(*items[0])
    settled = {"Status": "Enabled"}
    behind.put_bucket_versioning(Bucket="later", VersioningConfiguration=settled)
    with pytest.raises(UnavailableError, match="keeps old versions"):
        blobs.put(*items[1])
    with pytest.raises(UnavailableError, match="keeps old versions"):
        blobs.remove(items[0][0])


def test_removing_destroys_the_bytes_before_the_name(proxy: Faulty) -> None:
    """Emptied first; a crash in between leaves no ciphertext, and removing again completes it."""
    blobs, (item,) = S3Blobs(bucket(proxy.url), seconds=2), batch(1)
    blobs.put(*item)
    proxy.rule = lambda method, path: "500" if method == "DELETE" else "well"
    with pytest.raises(UnavailableError):
        blobs.remove(item[0])
    assert blobs.size(item[0]) == 0
    proxy.rule = lambda method, path: "well"
    blobs.remove(item[0])
    assert not blobs.has(item[0])


def test_a_bucket_that_is_gone_is_not_taken_for_one_that_is_empty(engine: engines.Engine) -> None:
    """Every capsule would look lost: so nothing is known, and nothing concluded."""
    boto(engine).create_bucket(Bucket="gone")
    blobs = S3Blobs(bucket(engine.url, "gone", prefix=""))
    boto(engine).delete_bucket(Bucket="gone")
    for ask in (blobs.has, blobs.size, blobs.remove, lambda name: list(blobs.names())):
        with pytest.raises(UnavailableError, match="NoSuchBucket"):
            ask(digest(b"x"))
    with pytest.raises(InputError, match="NoSuchBucket"):
        S3Blobs(bucket(engine.url, "never"))


def test_whoever_may_not_write_is_told_at_opening(proxy: Faulty) -> None:
    """Wrong keys, or too few rights: named, with what to do."""
    proxy.rule = lambda method, path: "403" if method == "PUT" else "well"
    with pytest.raises(InputError, match=r"refuses us \(AccessDenied"):
        S3Blobs(bucket(proxy.url))
    proxy.rule = lambda method, path: "403" if method == "DELETE" else "well"
    with pytest.raises(InputError, match="refuses us"):
        S3Blobs(bucket(proxy.url))


def test_nobody_answers_is_said_within_the_time(engine: engines.Engine) -> None:
    """A store that is down makes the vault wait, not hang."""
    with pytest.raises(UnavailableError, match="9: HTTP error"):
        S3Blobs(bucket("http://127.0.0.1:9"), seconds=1)


def test_neither_endpoint_nor_proxy_nor_rights_come_from_the_environment(
    engine: engines.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vault writes where its settings say: a variable of the machine must not lead it abroad."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "somebody else's")
    blobs = S3Blobs(bucket(engine.url), seconds=2)
    blobs.put(digest(b"x"), [b"x"])
    assert os.environ["AWS_ENDPOINT"] == "http://127.0.0.1:9"


def test_a_bucket_outside_the_region_is_not_connected_to(proxy: Faulty) -> None:
    """The region's list of addresses holds for what connects past Python too."""
    blobs = S3Blobs(bucket(proxy.url))
    so_far = len(proxy.seen)
    try:
        egress.guard(list)
        with pytest.raises(egress.ForeignError):
            blobs.put(digest(b"x"), [b"x"])
        with pytest.raises(egress.ForeignError):
            blobs.local(digest(b"x")).__enter__()
    finally:
        egress.guard(None)
    assert len(proxy.seen) == so_far


# What the road may do


FAULTS: list[list[Word]] = [["500", "503"], ["cut", "503"], ["lost"], ["lost", "500", "lost"]]


@pytest.mark.parametrize("plan", FAULTS, ids="-".join)
def test_what_fails_and_passes_is_asked_again_by_the_library(
    proxy: Faulty, plan: list[Word]
) -> None:
    """An error, a broken connection, a lost answer: the blob is kept, once, with its bytes."""
    blobs, items = S3Blobs(bucket(proxy.url), seconds=10), batch(2)
    proxy.plan.extend(plan)
    blobs.put(*items[0])
    assert not proxy.plan
    proxy.plan.extend(plan)
    assert b"".join(blobs.pieces(items[0][0])) == b"".join(items[0][1])
    assert list(blobs.names()) == [items[0][0]]


def test_an_answer_that_ends_half_way_is_never_taken_for_the_blob(proxy: Faulty) -> None:
    """Read again, or said to be unavailable: not shortened."""
    blobs, (item,) = S3Blobs(bucket(proxy.url), seconds=2), batch(1, 100_000)
    blobs.put(*item)
    proxy.rule = lambda method, path: "half" if method == "GET" else "well"
    with pytest.raises(UnavailableError):
        b"".join(blobs.pieces(item[0]))


def test_nothing_acknowledged_is_lost_while_half_of_all_calls_fail(proxy: Faulty) -> None:
    """Every blob of a batch that has no error is there, whole; the others can be put again."""
    blobs, turn = S3Blobs(bucket(proxy.url), seconds=3), count()
    bad: list[Word] = ["500", "well", "cut", "well", "503", "lost", "well", "well"]
    proxy.rule = lambda method, path: bad[next(turn) % len(bad)] if method == "PUT" else "well"
    items = batch(32)
    told = blobs.put_all(items)
    proxy.rule = lambda method, path: "well"
    kept = [item for item, error in zip(items, told, strict=True) if error is None]
    assert kept
    assert all(isinstance(error, UnavailableError) for error in told if error is not None)
    for name, pieces in kept:
        assert b"".join(blobs.pieces(name)) == b"".join(pieces)
    assert blobs.put_all(items) == [None] * 32
    assert set(blobs.names()) == {name for name, _ in items}
    assert proxy.count("lost")
    assert proxy.count("cut")


def test_a_store_that_is_down_for_good_fails_every_blob_in_bounded_time(proxy: Faulty) -> None:
    """No error is swallowed: each item of the batch has its own."""
    blobs = S3Blobs(bucket(proxy.url), seconds=1)
    proxy.rule = lambda method, path: "503"
    told = blobs.put_all(batch(20))
    assert all(isinstance(error, UnavailableError) for error in told)
    assert "SlowDown" in str(told[0])


def test_a_store_slower_than_the_time_it_has_is_unavailable(proxy: Faulty) -> None:
    """And what is slow but comes in time is fine."""
    blobs, items = S3Blobs(bucket(proxy.url), seconds=3), batch(1)
    proxy.plan.append("slow")
    blobs.put(*items[0])
    hasty = S3Blobs(bucket(proxy.url), seconds=0.4)
    proxy.rule = lambda method, path: "slow"
    with pytest.raises(UnavailableError):
        hasty.put(*items[0])


def test_a_probe_that_a_dead_process_left_is_no_blob_and_is_tidied(engine: engines.Engine) -> None:
    """It lies beside the capsules, and says nothing."""
    where = bucket(engine.url)
    blobs = S3Blobs(where)
    key = f"{where.prefix}/.probe-0011223344556677"
    boto(engine).put_object(Bucket=where.name, Key=key, Body=b"left")
    assert list(blobs.names()) == []
    assert (blobs.tidy(), blobs.tidy()) == (1, 0)
