# SPDX-License-Identifier: Apache-2.0
"""Build the Merkle tree of a log again from its entries, with pymerkle, and compare the root.

Usage: root.py FOLDER

FOLDER is the log as it is served, or a mirror of it. No tile is read: only entries count.
"""

import base64
import sys
from collections.abc import Iterator
from pathlib import Path

from pymerkle import InmemoryTree


def bundle_path(number: int, width: int) -> str:
    """Bundle 1234067 of 17 entries is tile/entries/x001/x234/067.p/17."""
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.insert(0, f"x{number % 1000:03d}")
    return "tile/entries/" + "/".join(parts) + ("" if width == 256 else f".p/{width}")


def entries(folder: Path, size: int) -> Iterator[bytes]:
    for number in range(-(-size // 256)):
        data = (folder / bundle_path(number, min(256, size - number * 256))).read_bytes()
        while data:
            end = 2 + int.from_bytes(data[:2], "big")
            yield data[2:end]
            data = data[end:]


def main(folder: str) -> None:
    origin, size, root = (Path(folder) / "checkpoint").read_text().split("\n")[:3]
    tree = InmemoryTree(algorithm="sha256")
    for entry in entries(Path(folder), int(size)):
        tree.append_entry(entry)
    assert tree.get_size() == int(size)
    assert tree.get_root() == base64.b64decode(root), "the entries do not make the signed root"
    print(f"pymerkle: the {size} entries of {origin} make the root {root}")


main(*sys.argv[1:])
