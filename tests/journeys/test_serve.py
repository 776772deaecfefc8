# SPDX-License-Identifier: Apache-2.0
"""A region with each party as its own process: request, grants, opening, and everybody killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import read_capsule
from serving import Region, region
from world import quick_folder


@pytest.fixture(scope="module")
def parties() -> Iterator[Region]:
    """All eight, running."""
    with quick_folder() as folder, region(folder) as made:
        yield made


def test_a_clip_goes_through_eight_processes(parties: Region) -> None:
    """Sealed, delivered, asked for, granted by two of three trustees, opened."""
    path = parties.seal(b"what the camera saw")
    receipt = parties.upload(path)
    sealed = read_capsule(path)
    founding = parties.state().region
    assert founding is not None
    assert check_receipt(receipt, sealed.digest, founding, parties.policy).index > 0
    reader = parties.enrol()
    capsule = parties.kept(reader, sealed.digest)
    leaf = parties.leaf(reader, [capsule])
    index = parties.submit(leaf)
    grants = [parties.decide(name, leaf, index, capsule) for name in parties.names[:2]]
    assert parties.open(reader, capsule, leaf, grants) == b"what the camera saw"
