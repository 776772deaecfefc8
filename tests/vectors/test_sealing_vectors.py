# SPDX-License-Identifier: Apache-2.0
"""The vectors of others in tests/vectors/sealing: see the README there for where each is from."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidTag

VECTORS = json.loads((Path(__file__).parent / "sealing" / "cobblestone.json").read_text())


@pytest.mark.parametrize("case", VECTORS["tests"], ids=lambda case: case["comment"])
def test_payloads_are_cobblestone_256(case: dict[str, Any]) -> None:
    """What our capsules are decrypted with opens what it must, to the byte, and nothing else."""
    data = zlib.decompress(bytes.fromhex(case["ct"]))
    decryptor = Cobblestone256Decryptor(bytes.fromhex(VECTORS["key"]), bytes.fromhex(case["ctx"]))
    if case["result"] == "valid":
        opened = decryptor.update(data) + decryptor.finalize()
        assert len(opened) == case["msgLength"]
        assert hashlib.sha512(opened).hexdigest() == case["msgSha512"]
    else:
        with pytest.raises(InvalidTag):
            decryptor.update(data) + decryptor.finalize()
