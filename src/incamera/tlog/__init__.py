# SPDX-License-Identifier: Apache-2.0
r"""A transparency log as C2SP specifies it: tiles, checkpoints, witnesses, offline proofs.

Knows nothing of cars: an entry is any byte string of at most 65535 bytes.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from incamera.clock import SystemClock
>>> from incamera.tlog import FolderFetch, Log, LogReader, Policy, Proof, Witness
>>> from incamera.tlog.keys import generate_cosigner, generate_signer
>>> folder = TemporaryDirectory()
>>> home, clock = Path(folder.name), SystemClock()
>>> signer, cosigner = generate_signer("example.org/log"), generate_cosigner("example.org/w1")
>>> policy = Policy.parse(f"log {signer.vkey}\nwitness w1 {cosigner.vkey}\nquorum w1\n")
>>> witness = Witness(home / "w1", cosigner, {signer.name: signer.verifier}, clock)
>>> log = Log.create(home / "public", home / "state", signer, [witness], policy, clock)
>>> log.append([b"first", b"second"])
Appended(first_index=0, size=2)
>>> Proof.parse(log.proof(1)).verify(b"second", policy).checkpoint.size
2
>>> reader = LogReader(FolderFetch(home / "public"), policy)
>>> size = reader.checkpoint().checkpoint.size
>>> list(reader.entries(0, size, size))
[b'first', b'second']
>>> folder.cleanup()
"""

from __future__ import annotations

from incamera.tlog.log import Log
from incamera.tlog.note import Signer
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.proof import Proof
from incamera.tlog.reader import FolderFetch, LogReader
from incamera.tlog.witness import Witness

__all__ = [
    "FolderFetch",
    "Log",
    "LogReader",
    "Policy",
    "Proof",
    "Signer",
    "Witness",
    "Witnessed",
]
