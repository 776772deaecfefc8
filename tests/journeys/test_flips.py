# SPDX-License-Identifier: Apache-2.0
"""No byte of what is public or stored can be altered without the audit seeing it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import warm
from incamera.cli.audit import run
from incamera.cli.layout import Layout

INCAMERA = Path(sys.executable).with_name("incamera")
SAMPLES = 12  # places in a file: both ends, and spread between
MORE = 150  # in the newest bundle, which holds every entry and so every request


def incamera(*words: str | Path) -> str:
    done = warm.run([INCAMERA, *words], text=True)
    assert done.returncode == 0, done.stderr
    said: str = done.stdout
    return said


@pytest.fixture(scope="module")
def home(drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with capsules, a granted request, a refused one and a dataset."""
    root = tmp_path_factory.mktemp("flips") / "home"
    incamera("init", root, "--region", "eu")
    zones = drive / "zones.geojson"
    incamera("ingest", drive / "TeslaCam", "--home", root, "--zones", zones)
    incamera("request", "--home", root)
    incamera("grant", "--home", root)
    incamera("open", "--home", root, "--to", root.parent / "dataset")
    return root


def places(path: Path, samples: int) -> Iterator[int]:
    last = path.stat().st_size - 1
    if last < samples:
        yield from range(last + 1)
    else:
        yield from sorted({round(k * last / (samples - 1)) for k in range(samples)})


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << (place % 8))]))


def unseen(copy: Layout, path: Path, samples: int) -> list[str]:
    """Places where a flip in ``path`` was not an error of the audit."""
    found = []
    for place in places(path, samples):
        flip(path, place)
        if run(copy).ok:
            found.append(f"{path.relative_to(copy.root)} at {place}")
        flip(path, place)
    return found


def test_flipping_any_byte_of_what_is_public_is_seen(home: Path, tmp_path: Path) -> None:
    """Checkpoint and newest tile byte by byte; bundles, texts and older tiles at samples."""
    copy = Layout(tmp_path / "home")
    shutil.copytree(home / "public", copy.public)
    assert run(copy).ok
    tile = max(copy.public.glob("tile/0/*.p/*"), key=lambda path: int(path.name))
    bundle = max(copy.public.glob("tile/entries/*.p/*"), key=lambda path: int(path.name))
    whole = {copy.public / "checkpoint": 1 << 20, tile: 1 << 20, bundle: MORE}
    files = [path for path in sorted(copy.root.rglob("*")) if path.is_file()]
    assert len(files) > 10
    assert not [each for path in files for each in unseen(copy, path, whole.get(path, SAMPLES))]
    assert run(copy).ok


def test_flipping_any_byte_of_a_stored_capsule_is_seen(home: Path, tmp_path: Path) -> None:
    """Magic, envelope, wrapped shares and ciphertext, at samples over the whole file."""
    copy = Layout(tmp_path / "home")
    shutil.copytree(home / "public", copy.public)
    shutil.copytree(home / "vault" / "blobs", copy.vault / "blobs")
    capsules = [path for path in sorted((copy.vault / "blobs").rglob("*")) if path.is_file()]
    assert capsules
    assert not [each for path in capsules for each in unseen(copy, path, 4 * SAMPLES)]
    assert run(copy).ok


def test_the_command_ends_with_four_on_an_altered_home(home: Path, tmp_path: Path) -> None:
    """`incamera audit --home` exits 4 for an altered log, and for a lost or an added file."""
    for number, spoil in enumerate((alter, lose, add)):
        copy = tmp_path / str(number)
        shutil.copytree(home, copy)
        spoil(copy)
        done = warm.run([INCAMERA, "audit", "--home", copy])
        assert done.returncode == 4, done.stdout
        assert b"FAILED" in done.stdout


def alter(home: Path) -> None:
    flip(home / "public" / "checkpoint", 5)


def lose(home: Path) -> None:
    next((home / "vault" / "blobs").glob("*/*")).unlink()


def add(home: Path) -> None:
    (home / "public" / "tile" / "0" / "001.p").mkdir()
    (home / "public" / "tile" / "0" / "001.p" / "1").write_bytes(os.urandom(32))
