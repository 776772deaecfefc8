# SPDX-License-Identifier: Apache-2.0
"""Capsules by the thousand: whole ones sealed as a car seals, and many more with headers of theirs.

Sealing for good takes a core 1 ms and more (four HPKE wraps); that is the cars' cost, not the
vault's. So a few dozen payloads of 64 KiB are sealed as a car does it, and each capsule that is
sent takes one of these bodies under a header of its own: fresh capsule id, its own car, owner,
vehicle and hour, signed by that car. To the vault it is a capsule in every respect: its digest is
new, all digests in it hold. Only its wrapped keys would not open, since they are bound to the first
header's id; ``sealed`` ones open.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.fleet.crowd import EU, Car
from incamera.encoding import base64_text
from incamera.ids import Digest, Name, digest
from incamera.sealing.capsule import LENGTH, MAGIC, read_capsule
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.header import HEADER_TYPE, Header
from incamera.sealing.keys import SigningKey
from incamera.sealing.seal import Facts, Recipients, seal
from incamera.sealing.seal import Trustee as SealTrustee
from serving import Region

DAY = 86_400
PAYLOAD = 1 << 16
"""Bytes of each clip."""
_NO_ID = b"\x11" * 32
_NO_OWNER = Digest("22" * 32)
_NO_HOUR = "1999-01-01T00"


def hour_of(now: float) -> str:
    """The UTC hour as a header has it."""
    return time.strftime("%Y-%m-%dT%H", time.gmtime(now))


@dataclass(frozen=True)
class Body:
    """What lies behind the header in the file: wrapped keys and ciphertext; and its header."""

    header: Header
    tail: bytes

    @property
    def tail_digest(self) -> str:
        """SHA-256 of the whole tail."""
        return hashlib.sha256(self.tail).hexdigest()


@dataclass(frozen=True)
class Head:
    """One capsule but for its body: the first bytes of the file, up to the wrapped keys."""

    digest: Digest
    data: bytes
    body: int
    """Which body comes behind."""


class Maker:
    """Makes capsules that this region admits."""

    def __init__(self, region: Region, bodies: int, owner_public: bytes, size: int) -> None:
        """``bodies``: so many payloads of ``size`` bytes are sealed, the first for good."""
        state = region.state()
        now = self.now = int(time.time())
        epochs = [state.epochs(name, at=now)[-1] for name in region.names]
        trustees = [SealTrustee(key.trustee, key.epoch, key.key) for key in epochs]
        self.recipients = Recipients(trustees, 2, owner_public)
        self.facts = Facts(
            region=EU,
            vehicle=Name("fleet-0"),
            hour=hour_of(now - 3600),
            duration=30,
            cameras=[Name("front"), Name("back")],
            tags=[Name("hard-brake")],
            consent="consent-1",
            purposes=[Name("driver-assistance")],
            policy=state.documents("policy")[0],
            report=digest(b"report"),
            models=[digest(b"model")],
            zones=digest(b"zones"),
            expires=now + 20 * DAY,
        )
        self.seconds = 0.0  # CPU spent on sealing
        self.bodies = [self._seal(region.folder, size) for _ in range(bodies)]
        self._forms: dict[tuple[int, str], tuple[bytes, ...]] = {}

    def _seal(self, folder: Path, size: int) -> Body:
        path, car = folder / "body.capsule", SigningKey.generate()
        payload = io.BytesIO(secrets.token_bytes(size))
        began = time.process_time()
        seal(payload, path, facts=self.facts, recipients=self.recipients, car=car)
        self.seconds += time.process_time() - began
        capsule = read_capsule(path)
        tail = path.read_bytes()[len(MAGIC) + LENGTH.size + len(capsule.envelope) :]
        path.unlink()
        return Body(capsule.header, tail)

    def head(self, car: Car, *, body: int | None = None, hour: str | None = None) -> Head:
        """A new capsule of ``car``."""
        body = secrets.randbelow(len(self.bodies)) if body is None else body
        payload = self.filled(body, car, hour or self.facts.hour)
        return self.sealed(payload, car.key, body)

    def odd(self, car: Car, **change: object) -> Head:
        """One whose header says something else: fields of :class:`Header`."""
        was = self.bodies[0].header
        mine = replace(
            was,
            capsule_id=secrets.token_bytes(32),
            car_key=car.key.public,
            vehicle=car.name,
            owner=replace(was.owner, key=car.owner),
        )
        return self.sealed(replace(mine, **change).serialise(), car.key, 0)  # type: ignore[arg-type]

    @staticmethod
    def sealed(payload: bytes, key: SigningKey, body: int) -> Head:
        """A signed header as the first bytes of a file."""
        envelope = seal_envelope(payload, HEADER_TYPE, key)
        return Head(digest(envelope), MAGIC + LENGTH.pack(len(envelope)) + envelope, body)

    def filled(self, body: int, car: Car, hour: str) -> bytes:
        """The header's canonical JSON, its form written once and filled in from then on."""
        form = self._forms.get((body, hour))
        if form is None:
            was = self.bodies[body].header
            blank = replace(
                was,
                capsule_id=_NO_ID,
                car_key=_NO_ID,
                vehicle=Name("no-car"),
                hour=hour,
                owner=replace(was.owner, key=_NO_OWNER),
            )
            form = self._forms[body, hour] = tuple(_cut(blank.serialise()))
        fill = (secrets.token_hex(32), base64_text(car.key.public), car.owner, car.name)
        parts = [form[0]]
        for text, part in zip(fill, form[1:], strict=True):
            parts += [text.encode(), part]
        return b"".join(parts)


def _cut(payload: bytes) -> Sequence[bytes]:
    """``payload`` cut at the four places that differ, in the order of canonical JSON."""
    parts = []
    for hole in (_NO_ID.hex(), base64_text(_NO_ID), _NO_OWNER, "no-car"):
        part, found, payload = payload.partition(hole.encode())
        assert found, hole
        parts.append(part)
    return [*parts, payload]
