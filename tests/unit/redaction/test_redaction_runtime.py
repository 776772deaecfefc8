# SPDX-License-Identifier: Apache-2.0
"""The runtime says what the reference runtime says, for any size and from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from incamera.errors import UnavailableError
from incamera.redaction.heatmap import shipped
from incamera.redaction.runtime import Network

OUTPUTS = ["scores", "boxes"]


def picture(height: int, width: int, seed: int = 1) -> NDArray[np.uint8]:
    """Shapes and letters, so that something answers."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 90, np.uint8)
    for _ in range(12):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        shade = [int(v) for v in rng.integers(0, 255, 3)]
        cv2.rectangle(image, (x, y), (x + 60, y + 16), shade, -1)
        cv2.putText(image, "AB 123", (x, y + 13), 0, 0.5, (0, 0, 0), 1)
    return image


def network() -> Network:
    """The shipped weights."""
    return Network(shipped().path.read_bytes(), OUTPUTS, middle=127.5, spread=64.0)


def reference(image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """What onnxruntime says in single precision, padded with grey by hand."""
    below, right = -image.shape[0] % 32, -image.shape[1] % 32
    padded = np.pad(image, ((0, below), (0, right), (0, 0)), constant_values=128)
    tensor = ((padded.astype(np.float32) - 127.5) / 64).transpose(2, 0, 1)[None]
    session = onnxruntime.InferenceSession(str(shipped().path), providers=["CPUExecutionProvider"])
    return [np.asarray(out, np.float32) for out in session.run(OUTPUTS, {"image": tensor})]


@pytest.mark.parametrize(("height", "width"), [(96, 160), (75, 131)])
def test_outputs_are_those_of_the_reference_runtime(height: int, width: int) -> None:
    """Half precision moves scores by a tenth at most, and boxes by a pixel or two."""
    image = picture(height, width)
    scores, boxes = network()(image, (width, height))
    wanted, edges = reference(image)
    assert scores.shape == wanted.shape
    # Rounding moves a peak to the cell beside it, where the two are alike.
    near = [cv2.dilate(part[0].transpose(1, 2, 0), np.ones((3, 3))) for part in (scores, wanted)]
    assert np.abs(near[0] - near[1]).max() < 0.15
    # In the way that matters, too: boxes of what is seen, to a tenth of their size.
    seen = wanted.max(axis=1) > 0.1
    far = np.abs(boxes - edges).max(axis=1)[seen]
    assert not far.size or np.median(far) < 2.0


def test_a_size_that_comes_again_gives_the_same_answer() -> None:
    """A network made for one size says what the one for any size said."""
    net, image = network(), picture(96, 160)
    answers = [[np.array(part) for part in net(image, (160, 96))] for _ in range(20)]
    assert len(net._sized) == 1
    for scores, _ in answers[1:]:
        assert np.abs(scores - answers[0][0]).max() < 0.02


def test_sizes_are_not_kept_without_end() -> None:
    """A folder of a thousand sizes must not hold a thousand networks."""
    net = network()
    for width in range(32, 32 * 12, 32):
        for _ in range(16):
            net(picture(64, width), (width, 64))
    assert len(net._sized) <= 6


def test_threads_do_not_disturb_each_other() -> None:
    """Each thread's answers are its own picture's."""
    net = network()
    images = [picture(96, 160, seed) for seed in range(8)]
    alone = [np.array(net(image, (160, 96))[0]) for image in images]

    def look(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array(net(image, (160, 96))[0])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(look, images * 4))
    for number, scores in enumerate(found):
        assert np.abs(scores - alone[number % len(images)]).max() < 0.02


def test_a_broken_model_is_a_clear_error() -> None:
    """Not a traceback from the depths of a runtime."""
    with pytest.raises(UnavailableError, match="cannot be loaded"):
        Network(b"not a model", OUTPUTS)
