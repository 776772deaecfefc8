# SPDX-License-Identifier: Apache-2.0
"""Capsules: a clip sealed to k of n trustees and to its owner, with a signed header.

Seal, and check what was sealed without any key::

    >>> import io, tempfile, pathlib
    >>> from incamera.ids import digest
    >>> from incamera.sealing import *
    >>> car, owner = SigningKey.generate(), OpeningKey.generate()
    >>> epoch = {name: OpeningKey.generate() for name in ("ch", "is", "uy")}
    >>> trustees = [Trustee(name, 0, key.public) for name, key in epoch.items()]
    >>> nothing = digest(b"")
    >>> facts = Facts(
    ...     region="eu", vehicle="car-7", hour="2026-11-21T14", duration=30, cameras=["front"],
    ...     tags=["hard-brake"], consent="c-1", purposes=["perception"], policy=nothing,
    ...     report=nothing, models=[], zones=nothing, expires=1_800_000_000)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "clip.capsule"
    >>> name = seal(io.BytesIO(b"clip"), path, facts=facts, car=car,
    ...             recipients=Recipients(trustees, 2, owner.public))
    >>> capsule = read_capsule(path)
    >>> capsule.verify_stored()
    >>> capsule.digest == name, capsule.header.tags
    (True, ('hard-brake',))

Opening is :mod:`incamera.sealing.opening`, which this face leaves out on purpose: who keeps
capsules must not be able to reach it. Keepers import the modules they need one by one.
"""

from incamera.sealing.capsule import read_capsule
from incamera.sealing.header import Header
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.sealing.seal import Facts, Recipients, Trustee, seal

__all__ = [
    "Facts",
    "Header",
    "OpeningKey",
    "Recipients",
    "SigningKey",
    "Trustee",
    "read_capsule",
    "seal",
]
