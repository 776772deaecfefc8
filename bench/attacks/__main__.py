# SPDX-License-Identifier: Apache-2.0
"""All attacks, a table as they go, and one JSON object as the last line. See the package."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from incamera.redaction import Redactor
from incamera.redaction.centerface import CenterFace
from incamera.redaction.detectors import default_detectors
from incamera.redaction.fill import FillKind
from incamera.redaction.heatmap import HeatmapDetector
from incamera.redaction.model import Detector

from . import engines, faces, linkage, ocr, plates, redetect, scene

FILLS: tuple[FillKind, ...] = ("solid", "mosaic")
EACH = scene.COLUMNS * scene.ROWS
GALLERY = 200  # plates an attacker has to choose from
FRESH = range(0, scene.FRAMES, 6)


def films(
    things: Sequence[scene.Thing], data: Path, folder: Path, name: str
) -> tuple[list[scene.Film], dict[str, list[scene.Seen]]]:
    """Films of ``things``, twelve in each, and what is seen of each before and after."""
    street = scene.backdrop(data)
    made: list[scene.Film] = []
    seen: dict[str, list[scene.Seen]] = {"before": [], **{fill: [] for fill in FILLS}}
    for number in range(0, len(things), EACH):
        path = folder / f"{name}{number}.mp4"
        film = scene.make(path, street, things[number : number + EACH], number)
        for fill in FILLS:
            out, report = scene.redact(film, fill, folder)
            boxes = scene.destroyed(film, report)
            seen[fill] += scene.read(out, film, boxes)
        seen["before"] += scene.read(path, film, boxes)
        made.append(film)
    return made, seen


def read_plates(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """OCR of plates, and linking them to a list."""
    tools, missing = engines.available(
        {"rapidocr": engines.rapidocr, "tesseract": engines.tesseract}
    )
    things = plates.things(args.count)
    made, seen = films(things, args.data, folder, "plates")
    gallery = plates.texts(GALLERY)
    out: dict[str, Any] = {"missing": missing, "plates": len(things)}
    out["heights"] = {
        name: ocr.by_height(seen["before"], read, [thing.height for thing in things])
        for name, read in tools.items()
    }
    out["ocr"] = {fill: ocr.attack(seen[fill], tools) for fill in seen}
    show("ocr", out["ocr"])
    out["linkage"] = {fill: linkage.attack(seen[fill], made, gallery) for fill in FILLS}
    before = seen["before"]
    out["cells"] = {
        cells: linkage.fresh(before, made, gallery, [0], cells)
        for cells in range(1, linkage.CELLS + 1)
    }
    out["a new mosaic in each of 10 frames"] = linkage.fresh(before, made, gallery, FRESH)
    show("linkage", {name: out[name] for name in ("linkage", "cells")})
    return out


def know_faces(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Re-identification of faces."""
    models, missing = engines.available(
        {"dlib": engines.dlib_resnet, "mobilefacenet": lambda: engines.mobilefacenet(args.tools)}
    )
    models |= {"pixels": faces.pixels, "means": faces.means_of}
    things, gallery = faces.things(args.data, args.count)
    if (person := faces.filmed(args.data, CenterFace().detect)) is not None:
        things[-1], gallery[-1] = person
    _, seen = films(things, args.data, folder, "faces")
    out: dict[str, Any] = {"missing": missing, "people": len(things)}
    out["ranks"] = {fill: faces.attack(seen[fill], gallery, models) for fill in seen}
    show("faces", out["ranks"])
    out["cells"] = {
        cells: faces.by_cells(seen["before"], gallery, cells)
        for cells in range(1, linkage.CELLS + 1)
    }
    show("faces, by cells", out["cells"])
    return out


def find_again(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Re-detection on real films and pictures."""
    tools, missing = engines.available({"dlib": engines.dlib_hog})
    finders = {
        "face": {"centerface": edges(CenterFace(least=0.2)), **tools},
        "plate": {"incamera": edges(HeatmapDetector(kinds=["plate"], least=0.3))},
    }
    redactor = Redactor([redetect.Remembering(d) for d in default_detectors()], threads=1)
    files = redetect.sources(args.data, folder, args.count // 2)
    out: dict[str, Any] = {
        fill: redetect.attack(files, redactor, fill, finders, folder) for fill in FILLS
    }
    show("found again", out)
    return {"missing": missing, "files": len(files), **out}


def edges(detector: Detector) -> redetect.Finder:
    """A detector of ours as a finder of edges."""

    def find(image: redetect.Picture) -> list[redetect.Edges]:
        return [(b.x, b.y, b.w, b.h) for b in detector.detect(image)]

    return find


def show(title: str, tree: dict[str, Any], path: tuple[str, ...] = ()) -> None:
    """Every figure on a line of its own."""
    for name, value in tree.items():
        at = (*path, str(name))
        if isinstance(value, dict) and not all(isinstance(v, int | float) for v in value.values()):
            show(title, value, at)
        else:
            print(f"{title}: {' / '.join(at)}: {json.dumps(value)}", flush=True)


ATTACKS = {"plates": read_plates, "faces": know_faces, "detection": find_again}


def main() -> None:
    """Attack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--tools", type=Path, default=engines.TOOLS, help="the attackers' packages")
    parser.add_argument("--count", type=int, default=48, help="of plates, and of people")
    parser.add_argument("--only", choices=ATTACKS, action="append")
    args = parser.parse_args()
    engines.use(args.tools)
    out: dict[str, Any] = {"bench": "attacks", "frames": scene.FRAMES}
    for name in args.only or ATTACKS:
        began = time.process_time()
        if name != "plates" and not (args.data / "faces").exists():
            out[name] = {"missing": [f"{args.data}: no pictures"]}
            continue
        with tempfile.TemporaryDirectory(prefix="incamera-attacks-") as folder:
            out[name] = ATTACKS[name](args, Path(folder))
        out[name]["cpu_s"] = round(time.process_time() - began, 1)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
