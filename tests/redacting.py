# SPDX-License-Identifier: Apache-2.0
"""A world for redaction tests without weights: pure red is a face, pure blue a plate.

``Colours`` finds each connected patch of those colours with the score that is encoded in its
green channel (0: certain), so that a test draws what it wants to have found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.ids import Digest, digest
from incamera.recording.model import Box, Frame

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (90, 120, 100)


class Colours:
    """Finds red patches as faces and blue ones as plates."""

    digest: Digest = digest(b"red is a face, blue is a plate")

    def __init__(self, score: float = 0.9) -> None:
        self.score = score

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """Patches of at least 4 x 4 pixels, by chroma alone."""
        red, green, blue = (image[..., i].astype(int) for i in range(3))
        found: list[Box] = []
        for mask, is_face in (
            ((red > 150) & (green < 90) & (blue < 90), True),
            ((blue > 150) & (green < 90) & (red < 90), False),
        ):
            count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
            for x, y, w, h, _ in stats[1:count]:
                if w >= 4 and h >= 4:
                    kind = "face" if is_face else "plate"
                    found.append(
                        Box(float(x), float(y), float(w), float(h), kind, self.score)  # type: ignore[arg-type]
                    )
        return found


class Broken:
    """A detector that fails at its n-th picture."""

    digest: Digest = digest(b"broken")

    def __init__(self, at: int = 0) -> None:
        self.left = at

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """Nothing, then an error no one has thought of."""
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("out of memory on the device")
        return []


def canvas(
    width: int = 96, height: int = 64, patches: Sequence[tuple[int, int, int, int]] = ()
) -> NDArray[np.uint8]:
    """A grey-green picture with red patches (x, y, w, h)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:] = GREY
    for x, y, w, h in patches:
        image[max(0, y) : y + h, max(0, x) : x + w] = RED
    return image


def frame(image: NDArray[np.uint8], index: int = 0, layout: str = "yuv420p") -> Frame:
    """``image`` (RGB) as a decoded frame in pixel format ``layout``, at 25 frames a second."""
    picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=layout)
    picture.pts, picture.time_base = index, Fraction(1, 25)
    return Frame("front", index, index, Fraction(1, 25), index / 25, picture)


def walk(count: int, step: int = 3, start: int = 4, **more: int) -> Iterator[Frame]:
    """Frames in which a red patch of 16 x 20 walks to the right."""
    for index in range(count):
        yield frame(canvas(patches=[(start + step * index, 20, 16, 20)], **more), index)


def film(path: Path, images: Sequence[NDArray[np.uint8]], codec: str = "libx264") -> Path:
    """A video of ``images`` at 25 frames a second, with a title and sound in it."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "48.85837 N 2.29448 E"
        stream = container.add_stream(codec, rate=25, options={"crf": "12"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=48000)
        assert isinstance(sound, av.AudioStream)
        for index, image in enumerate(images):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(picture))
        noise = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        noise.sample_rate = 48000
        container.mux(sound.encode(noise))
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))
    return path


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame of a video as RGB."""
    with av.open(str(path)) as container:
        return [
            np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
            for picture in container.decode(video=0)
        ]


def red_pixels(image: NDArray[np.uint8]) -> int:
    """How much of a face is left."""
    return int(((image[..., 0] > 150) & (image[..., 1] < 90) & (image[..., 2] < 90)).sum())
