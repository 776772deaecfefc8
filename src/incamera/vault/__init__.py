# SPDX-License-Identifier: Apache-2.0
"""The vault: keeps capsules, holds no key to open them, and says so in a public log.

Given a log (``incamera.tlog``) whose entry 0 names this vault's key::

    vault = Vault(home / "vault", key, log, FolderFetch(home / "public"), SystemClock())
    receipt = vault.admit(capsule)      # now the car may delete its copy
    for row in vault.find(tag="hard-brake"):
        print(row.digest, row.hour, row.cameras)
    vault.erase(erasure)                # signed by the owner; logged, then destroyed

A :class:`RefusedError` is a policy error with a code that programs can tell apart.
"""

from incamera.vault.blobs import FileBlobs
from incamera.vault.index import Index, Row, Wanted
from incamera.vault.refusal import RefusedError
from incamera.vault.vault import PublicLog, Source, Vault

__all__ = [
    "FileBlobs",
    "Index",
    "PublicLog",
    "RefusedError",
    "Row",
    "Source",
    "Vault",
    "Wanted",
]
