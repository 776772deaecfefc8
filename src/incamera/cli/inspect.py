# SPDX-License-Identifier: Apache-2.0
"""``incamera inspect``: what a capsule says of itself, checked."""

from __future__ import annotations

import json
from pathlib import Path

import click

from incamera.cli import terminal
from incamera.sealing.capsule import read_capsule

__all__ = ["command"]


@click.command("inspect")
@click.argument("capsule", type=click.Path(path_type=Path))
@terminal.json_option
def command(capsule: Path, as_json: bool) -> None:
    """Check CAPSULE, every byte of it, and print its header as JSON.

    Checks the car's signature under the key in the header, each wrapped share, and the ciphertext
    against the header. Whether that car is enrolled only the log can tell: `incamera audit`.
    A capsule that was altered ends with exit code 4.

    Example: incamera inspect home/vault/blobs/3f/3f0c...
    """
    found = read_capsule(capsule)
    found.verify_stored()
    shown = {"capsule": found.digest, "header": found.header.to_json()}
    terminal.result(shown, [json.dumps(shown, indent=2, sort_keys=True)], as_json)
