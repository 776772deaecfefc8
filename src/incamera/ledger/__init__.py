# SPDX-License-Identifier: Apache-2.0
"""What a region's public log says: its entries, and one reading of them that all parties share.

>>> from incamera.ids import Name, Region, digest
>>> from incamera.ledger import State, encode
>>> from incamera.ledger.entries import CapsuleEntry, RegionEntry
>>> from incamera.sealing.keys import SigningKey
>>> operator, vault = SigningKey.generate(), SigningKey.generate()
>>> founding = RegionEntry(
...     region=Region("eu"), time=0, operator_key=operator.public, vault_key=vault.public,
...     log_policy=digest(b""), threshold=2, notice=86_400, retention=30, quota=1_000)
>>> capsule = CapsuleEntry(region=Region("eu"), time=0, capsule=digest(b"a header"))
>>> state = State()
>>> state.apply(0, encode(founding, operator), 1_800_000_000)
>>> state.apply(1, encode(capsule, vault), 1_800_000_000)
>>> state.apply(2, encode(capsule, operator), 1_800_000_000).kind
'bad'
>>> state.capsule(digest(b"a header")).index
1

Over a real log, a :class:`Follower` feeds the state and checks that the entries make the root
that the witnesses saw. The types of entries are in :mod:`incamera.ledger.entries`.
"""

from incamera.ledger.codec import encode
from incamera.ledger.follower import Follower
from incamera.ledger.grant import Grant
from incamera.ledger.manifest import Manifest
from incamera.ledger.receipt import check_receipt
from incamera.ledger.request import GrantRequest, build_request
from incamera.ledger.state import State

__all__ = [
    "Follower",
    "Grant",
    "GrantRequest",
    "Manifest",
    "State",
    "build_request",
    "check_receipt",
    "encode",
]
