# SPDX-License-Identifier: Apache-2.0
"""No byte of what is public or stored can be altered without the audit seeing it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from incamera.cli.audit import run
from incamera.cli.layout import Layout

INCAMERA = Path(sys.executable).with_name("incamera")
WHOLE = 300  # files up to this size are flipped byte by byte
SAMPLES = 12  # places in larger ones: both ends, and spread between


def incamera(*words: str | Path) -> str:
    done = subprocess.run([INCAMERA, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def places(path: Path) -> Iterator[int]:
    size = path.stat().st_size
    if size <= WHOLE:
        yield from range(size)
    else:
        yield from sorted({round(k * (size - 1) / (SAMPLES - 1)) for k in range(SAMPLES)})


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << (place % 8))]))


def test_flipping_any_byte_is_seen(home: Path, tmp_path: Path) -> None:
    """Capsules, tiles, bundles, checkpoint, policy: each flip is an error of the audit."""
    copy = Layout(tmp_path / "home")
    shutil.copytree(home / "public", copy.public)
    shutil.copytree(home / "vault" / "blobs", copy.vault / "blobs")
    assert run(copy).ok
    files = [path for path in sorted(copy.root.rglob("*")) if path.is_file()]
    assert len(files) > 10
    unseen = []
    for path in files:
        for place in places(path):
            flip(path, place)
            if run(copy).ok:
                unseen.append(f"{path.relative_to(copy.root)} at {place}")
            flip(path, place)
    assert not unseen
    assert run(copy).ok


def test_the_command_ends_with_four_on_an_altered_home(home: Path, tmp_path: Path) -> None:
    """`incamera audit --home` exits 4 for an altered log, and for a lost or an added file."""
    for number, spoil in enumerate((alter, lose, add)):
        copy = tmp_path / str(number)
        shutil.copytree(home, copy)
        spoil(copy)
        done = subprocess.run([INCAMERA, "audit", "--home", copy], capture_output=True, check=False)
        assert done.returncode == 4, done.stdout
        assert b"FAILED" in done.stdout


def alter(home: Path) -> None:
    flip(home / "public" / "checkpoint", 5)


def lose(home: Path) -> None:
    next((home / "vault" / "blobs").glob("*/*")).unlink()


def add(home: Path) -> None:
    (home / "public" / "tile" / "0" / "001.p").mkdir()
    (home / "public" / "tile" / "0" / "001.p" / "1").write_bytes(os.urandom(32))
