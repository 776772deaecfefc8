# SPDX-License-Identifier: Apache-2.0
"""A published log, entry by entry: a format that changes unnoticed would fail here."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import ENTRY_CLASSES
from incamera.ledger.state import State, leaf_digest
from incamera.sealing.keys import SigningKey

FOLDER = Path(__file__).parent / "ledger"
NAMES = ("entries", "rights", "addresses")
VECTORS = [json.loads((FOLDER / f"{each}.json").read_text()) for each in NAMES]


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_every_entry_of_the_published_log_reads_as_it_says(vector: dict[str, Any]) -> None:
    """Leaf hashes, effects (good, bad, repeat) and the root are the vector's."""
    state = State()
    for index, line in enumerate(vector["log"]):
        data = line["entry"].encode()
        assert leaf_digest(data) == line["leaf"]
        finding = state.apply(index, data, 1_800_000_000)
        assert (finding.kind if finding else "good") == line["effect"], (index, finding)
    assert state.frontier.root().hex() == vector["root"]


def test_the_published_logs_are_made_again_byte_for_byte() -> None:
    """Signatures are deterministic: the same values under the same keys are the same bytes."""
    types = set()
    for line in itertools.chain.from_iterable(vector["log"] for vector in VECTORS):
        if line["signer"]:
            seed = hashlib.sha256(f"signing {line['signer']}".encode()).digest()
            entry = decode(line["entry"].encode(), "vector").entry
            assert encode(entry, SigningKey(seed)).decode() == line["entry"]
            types.add(type(entry))
    assert types == set(ENTRY_CLASSES)
