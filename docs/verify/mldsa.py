# SPDX-License-Identifier: Apache-2.0
"""Check the ML-DSA-44 cosignature of a checkpoint with dilithium-py.

mldsa.py CHECKPOINT WITNESS_VKEY
"""

import base64
import struct
import sys
from pathlib import Path

from dilithium_py.ml_dsa import ML_DSA_44


def named(text: str) -> bytes:
    return bytes([len(text.encode())]) + text.encode()


def main(file: str, vkey: str) -> None:
    text, _, lines = Path(file).read_bytes().decode().rpartition("\n\n")
    origin, size, root = text.split("\n")
    name, key_id, key = vkey.split("+", 2)
    public = base64.b64decode(key)
    assert public[0] == 0x06, "not an ML-DSA-44 witness"
    [line] = [each for each in lines.split("\n") if each.startswith(f"— {name} ")]
    blob = base64.b64decode(line.split(" ")[2])  # key ID, time, signature
    tree = struct.pack(">QQ", 0, int(size)) + base64.b64decode(root)
    message = b"subtree/v1\n\0" + named(name) + blob[4:12] + named(origin) + tree
    assert blob[:4].hex() == key_id
    assert ML_DSA_44.verify(public[1:], message, blob[12:]), "the cosignature does not hold"
    print(f"dilithium-py: {name} cosigned size {size} of {origin}")


main(*sys.argv[1:])
