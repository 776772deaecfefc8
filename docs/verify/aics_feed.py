# SPDX-License-Identifier: Apache-2.0
"""Write a log with aics-tlog, have a C2SP witness cosign it with the client of aics-witness.

Usage: aics_feed.py FOLDER WITNESS_URL WITNESS_VKEY

FOLDER receives the log as tlog-tiles serves it; the log's vkey is printed first.
"""

import sys

from aics_tlog import (
    Checkpoint,
    DirectoryTileStore,
    IncrementalTileWriter,
    MerkleTree,
    format_vkey,
    sign_checkpoint,
    vkey_from_ed25519,
)
from aics_witness.feeder import WitnessClient, WitnessRejected, merge_cosignatures
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "aics.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))  # an example's: known to all


def signed(tree: MerkleTree, size: int) -> bytes:
    return sign_checkpoint(Checkpoint(ORIGIN, size, tree.root(size)), KEY, ORIGIN).to_bytes()


def main(folder: str, url: str, vkey: str) -> None:
    print(format_vkey(vkey_from_ed25519(ORIGIN, KEY.public_key())), flush=True)
    entries = [f"aics entry {number}".encode() for number in range(700)]
    tree = MerkleTree(entries)
    store = DirectoryTileStore(folder)
    writer = IncrementalTileWriter(store)
    client = WitnessClient(url, vkey)
    for size in (1, 2, 255, 256, 257, 700):
        writer.append(entries[writer.size : size])
        note = signed(tree, size)
        line = client.submit(note, tree.consistency_proof)
        store.write_checkpoint(merge_cosignatures(note, line))
        print(f"size {size}: cosigned")
    fork = MerkleTree([b"x", *entries[1:]])
    try:
        client.submit(signed(fork, 700), fork.consistency_proof)
    except WitnessRejected as error:
        print(f"another tree of size 700: refused with {error.status}")


main(*sys.argv[1:])
