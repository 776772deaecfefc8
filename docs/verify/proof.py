# SPDX-License-Identifier: Apache-2.0
"""Check a .tlog-proof of an entry with three verifiers that know nothing of incamera.

Usage: proof.py FILE.tlog-proof ENTRY LOG_VKEY

metamorphic-log (Rust) and aics-tlog check the log's signature and the inclusion, sigstore-python
the inclusion.
"""

import base64
import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import aics_tlog
import metamorphic_log
from sigstore._internal.merkle import verify_merkle_inclusion


def main(proof_file: str, entry_file: str, vkey: str) -> None:
    head, _, note = Path(proof_file).read_bytes().decode().partition("\n\n")
    entry = Path(entry_file).read_bytes()
    magic, index_line, *lines = head.split("\n")
    assert magic == "c2sp.org/tlog-proof@v1"
    index = int(index_line.removeprefix("index "))
    hashes = [base64.b64decode(line, validate=True) for line in lines]
    _, size, root = note.split("\n")[:3]
    leaf = hashlib.sha256(b"\0" + entry).digest()

    metamorphic_log.checkpoint_verify_inclusion(note, [vkey], index, leaf, hashes)
    print(f"metamorphic-log: signed by the log, entry {index} of {size} is in it")

    proof = SimpleNamespace(
        log_index=index, tree_size=int(size), hashes=hashes, root_hash=base64.b64decode(root)
    )
    claim = SimpleNamespace(inclusion_proof=proof, canonicalized_body=entry)
    verify_merkle_inclusion(SimpleNamespace(_inner=claim))
    print(f"sigstore-python: entry {index} of {size} is in it")

    opened = aics_tlog.parse_note(note.encode())
    assert aics_tlog.verify_checkpoint(opened, aics_tlog.parse_vkey(vkey)).ok
    assert aics_tlog.verify_leaf_inclusion(entry, index, int(size), hashes, proof.root_hash)
    print(f"aics-tlog: signed by the log, entry {index} of {size} is in it")


main(*sys.argv[1:])
