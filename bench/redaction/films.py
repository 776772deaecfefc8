# SPDX-License-Identifier: Apache-2.0
"""Making the composite films and their truth.

One line of `truth.jsonl` a film::

    {"film": "000-....mp4", "width": 960, "height": 540, "frames": 90, "rate": 25, "light": "day",
     "hidden": {"17": [[x, y, w, h]]},
     "tracks": [{"track": 0, "kind": "face", "style": "pass", "cut": "name.jpg#0",
                 "sights": [[frame, x, y, w, h, blur, yaw], ...]}]}

``x, y, w, h`` is the exact box of the object, in pixels, also where it reaches beyond the frame;
``blur`` the pixels by which motion smeared it; ``hidden`` what stands in front, by frame.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench.redaction.cuts import Picture, cuts
from bench.redaction.painting import Bar, Light, blur_length, cover, paste
from bench.redaction.scenes import Casting, Object, Scene, background, bars, objects, scenes

SEEDS = {"dev": 11, "eval": 23}
VERSION = 4  # of what the same seed gives: raise it when films change


def encode(path: Path, pictures: Iterator[Picture], scene: Scene) -> None:
    """Write an MP4, lossy as a camera's."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=scene.rate, options=dict(scene.coding))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = scene.size
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def painted(
    scene: Scene, clips: Path, shown: Sequence[Object], front: Sequence[Bar]
) -> Iterator[Picture]:
    """The film's pictures, RGB."""
    light = lamps(scene)
    for number, day in enumerate(background(scene, clips)):
        picture = light.behind(day)
        for thing in shown:
            if pose := thing.way.at(number):
                length = blur_length(thing.way, number)
                paste(picture, thing.cut, pose, thing.way.step(number), thing.gain, length)
        for bar in front:
            cover(picture, number, bar)
        yield light(picture, number)


def lamps(scene: Scene) -> Light:
    """The film's light, the same each time it is asked for."""
    return Light(np.random.default_rng((scene.seed, 3)), scene.light, scene.size, scene.frames)


def told(scene: Scene, shown: Sequence[Object], front: Sequence[Bar]) -> dict[str, Any]:
    """The film's line of truth."""
    tracks = []
    for thing in shown:
        sights = [
            [frame, *box, blur_length(thing.way, frame), pose.yaw]
            for frame, (pose, box) in enumerate(
                zip(thing.way.poses, thing.truths, strict=True), thing.way.first
            )
        ]
        rounded = [[frame, *(round(v, 2) for v in rest)] for frame, *rest in sights]
        tracks.append(
            {
                "track": thing.number,
                "kind": thing.cut.kind,
                "style": thing.way.style,
                "cut": thing.cut.source,
                "sights": rounded,
            }
        )
    blinded = [[round(v, 2) for v in rect] for rect in lamps(scene).blinded]
    hidden = {str(frame): list(blinded) for frame in range(scene.frames) if blinded}
    for bar in front:
        for frame, rect in bar.rects.items():
            hidden.setdefault(str(frame), []).append([round(v, 2) for v in rect])
    return {
        "film": scene.name,
        "width": scene.size[0],
        "height": scene.size[1],
        "frames": scene.frames,
        "rate": scene.rate,
        "light": scene.light,
        "hidden": hidden,
        "tracks": tracks,
    }


def make(data: Path, cache: Path, chosen: str, count: int, folder: Path) -> list[dict[str, Any]]:
    """Make ``count`` films of a set in ``folder`` (with `films/` and `truth.jsonl`); their truth.

    Films that lie there already, made from the same version, set and count, are taken as they are.
    """
    films, record = folder / "films", folder / "truth.jsonl"
    made_of = {"version": VERSION, "set": chosen, "count": count, "seed": SEEDS[chosen]}
    if (ready := _ready(record, made_of)) is not None:
        return ready
    films.mkdir(parents=True, exist_ok=True)
    for old in films.glob("*.mp4"):
        old.unlink()
    record.unlink(missing_ok=True)
    casting = Casting(cuts(data, chosen, cache))
    lines: list[dict[str, Any]] = []
    for scene in scenes(count, SEEDS[chosen]):
        shown = objects(scene, casting)
        front = bars(scene, shown)
        encode(films / scene.name, painted(scene, data / "clips", shown, front), scene)
        lines.append(told(scene, shown, front))
        print(f"made {scene.name}: {len(shown)} tracks, {scene.frames} frames", file=sys.stderr)
    record.write_text("".join(json.dumps(line) + "\n" for line in [made_of, *lines]))
    return lines


def empty(data: Path, chosen: str, count: int, folder: Path) -> Path:
    """The same films with nothing in them; their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for scene in scenes(count, SEEDS[chosen]):
        encode(folder / scene.name, painted(scene, data / "clips", (), ()), scene)
    return folder


def _ready(record: Path, made_of: dict[str, Any]) -> list[dict[str, Any]] | None:
    if not record.exists():
        return None
    first, *lines = map(json.loads, record.read_text().splitlines())
    return lines if first == made_of else None
