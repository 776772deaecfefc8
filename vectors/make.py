# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors of this folder: ``python vectors/make.py [FOLDER]``.

Keys and times are fixed, so every run gives the same bytes. What is in FOLDER (this one unless
named) is replaced; the README stays.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from making import base, notes, policies, requests, statements, trees

HERE = Path(__file__).parent
FAMILIES = (
    notes.notes,
    notes.vkeys,
    notes.checkpoints,
    notes.witnessed,
    policies.policies,
    trees.paths,
    trees.tiles,
    trees.bundles,
    trees.inclusion,
    trees.consistency,
    trees.proofs,
    requests.add_checkpoint,
    statements.entries,
    statements.headers,
    statements.requests,
    statements.evidence,
)


def vectors() -> Iterator[base.Vector]:
    """All of them, family by family."""
    for family in FAMILIES:
        yield from family()


def main(folder: Path = HERE) -> None:
    """Write each vector to its file, and ``index.json``."""
    made = list(vectors())
    if len({each.file for each in made}) != len(made):
        raise SystemExit("two vectors of one name")
    for kind in {each.kind for each in made}:
        shutil.rmtree(folder / kind, ignore_errors=True)
    rows = []
    for each in made:
        path = folder / each.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.data)
        row = {"file": each.file, "verdict": each.verdict, "reason": each.reason}
        rows.append(row | each.facts)
    about = "Each file fails, or must not fail, for one reason. README.md says how to read this."
    index = {"about": about, "version": 1, "vectors": rows}
    text = json.dumps(index, indent=1, ensure_ascii=True) + "\n"
    (folder / "index.json").write_text(text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
