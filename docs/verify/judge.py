# SPDX-License-Identifier: Apache-2.0
"""Read the vectors of a folder with aics-tlog and metamorphic-log, and say what each thinks.

Usage: judge.py FOLDER

One line a file and tool: "<tool> <file> accept" or "<tool> <file> refuse".
"""

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path

import aics_tlog as aics
import metamorphic_log as rust


def b64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def judges(kind: str, data: bytes, row: dict) -> dict[str, Callable[[], object]]:
    """For each tool that knows this kind: a call that raises or is False where it refuses."""
    if kind == "notes":
        keys = row["vkeys"]
        return {
            "aics-tlog": lambda: aics.verify_note(
                aics.parse_note(data), [aics.parse_vkey(each) for each in keys]
            ),
            "metamorphic-log": lambda: rust.verify_signed_note(data.decode(), keys),
        }
    if kind == "vkeys":
        return {"aics-tlog": lambda: aics.parse_vkey(data.decode())}
    if kind == "checkpoints":
        return {"aics-tlog": lambda: aics.parse_checkpoint(data.decode())}
    case = json.loads(data) if kind in ("inclusion", "consistency") else {}
    proof = [b64(each) for each in case.get("proof", ())]
    if kind == "inclusion":
        leaf, root, at = b64(case["leaf"]), b64(case["root"]), (case["index"], case["size"])
        return {
            "aics-tlog": lambda: aics.verify_inclusion(leaf, *at, proof, root),
            "metamorphic-log": lambda: rust.verify_inclusion(*at, leaf, proof, root),
        }
    if kind == "consistency":
        sizes = case["old"], case["new"]
        roots = b64(case["old_root"]), b64(case["new_root"])
        return {
            "aics-tlog": lambda: aics.verify_consistency(*sizes, *roots, proof),
            "metamorphic-log": lambda: rust.verify_consistency(*sizes, proof, *roots),
        }
    return {}


def verdict(judge: Callable[[], object]) -> str:
    try:
        return "refuse" if judge() is False else "accept"
    except Exception:  # noqa: BLE001  # each tool has errors of its own
        return "refuse"


def main(folder: str) -> None:
    for row in json.loads((Path(folder) / "index.json").read_text())["vectors"]:
        data = (Path(folder) / row["file"]).read_bytes()
        for tool, judge in judges(row["file"].split("/")[0], data, row).items():
            print(tool, row["file"], verdict(judge))


main(*sys.argv[1:])
