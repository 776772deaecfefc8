# SPDX-License-Identifier: Apache-2.0
"""Makes a capsule vector: ``python tests/vectors/capsule/make.py NAME``. Run once per version.

The keys are random, made for this file and in use nowhere; sealing draws fresh randomness, so
another run gives other bytes. A vector that was published is never made again.
"""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))


def main(name: str) -> None:
    """Write ``NAME.capsule`` and ``NAME.json``."""
    from incamera.sealing.capsule import read_capsule
    from incamera.sealing.seal import seal
    from sealed import FACTS, Fleet

    fleet = Fleet()
    payload = b"incamera capsule vector\n" * 800  # 19,200 bytes: two chunks
    path = HERE / f"{name}.capsule"
    seal(
        io.BytesIO(payload),
        path,
        facts=replace(FACTS),
        recipients=fleet.recipients(),
        car=fleet.car,
    )
    capsule = read_capsule(path)
    keys = HERE / "keys"
    fleet.owner.save(keys / "owner")
    for trustee, key in fleet.trustees.items():
        key.save(keys / trustee)
    lines = {each.name: each.read_text().strip() for each in sorted(keys.iterdir())}
    for each in keys.iterdir():
        each.unlink()
    keys.rmdir()
    facts = {
        "comment": "keys made for this vector only; see README.md",
        "digest": capsule.digest,
        "header": capsule.header.to_json(),
        "keys": lines,
        "payload": {"repeat": 800, "text": "incamera capsule vector\n"},
        "shares": {str(i): share.hex() for i, share in fleet.shares(capsule).items()},
    }
    (HERE / f"{name}.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
