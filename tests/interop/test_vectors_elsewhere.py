# SPDX-License-Identifier: Apache-2.0
"""Our published vectors, judged by programs that others wrote; where they differ is said here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from foreign import ROOT, go_programs, run, tool

VECTORS = ROOT / "vectors"
ROWS = json.loads((VECTORS / "index.json").read_text())["vectors"]
WANTED = {row["file"]: row["verdict"] for row in ROWS}

GO = {
    "consistency/0-to-0": "sumdb has no proof from an empty tree",
    "consistency/0-to-5": "sumdb has no proof from an empty tree",
    "notes/base64-trailing-bits": "encoding/base64 passes over unused bits",
}
AICS = {
    "checkpoints/extension": "C2SP allows extension lines; incamera is stricter",
    "checkpoints/line-separator": "it ends a line at U+2028, which C2SP does not",
    "checkpoints/too-large": "it sets no limit; incamera is stricter",
    "notes/no-newline-at-end": "it takes a last line without its newline, which C2SP does not",
    "vkeys/unknown-type": "it parses keys of any type and refuses them in use",
}
RUST = {
    "consistency/0-to-0": "it has no proof from an empty tree",
    "consistency/0-to-5": "it has no proof from an empty tree",
}


def differing(lines: list[str]) -> dict[str, str]:
    """The files that a tool judged otherwise than the index, with its verdict."""
    judged = dict(line.rsplit(" ", 1) for line in lines)
    assert len(judged) > 30
    return {file: verdict for file, verdict in judged.items() if WANTED[file] != verdict}


def test_gos_packages_agree() -> None:
    """golang.org/x/mod/sumdb on notes and proofs."""
    lines = run([go_programs() / "bin" / "judge", VECTORS]).splitlines()
    assert set(differing(lines)) == set(GO)


@pytest.mark.parametrize(("name", "known"), [("aics-tlog", AICS), ("metamorphic-log", RUST)])
def test_other_verifiers_agree(name: str, known: dict[str, str]) -> None:
    """A Python and a Rust verifier on notes, keys, checkpoints and proofs."""
    tool("aics-tlog")
    script = ROOT / "docs" / "verify" / "judge.py"
    lines = run([tool("python"), Path(script), VECTORS]).splitlines()
    own = [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]
    assert set(differing(own)) == set(known)
