# SPDX-License-Identifier: Apache-2.0
"""Cars that must record nothing: a switch in the car, and the operator's signed list.

Officials, people who work for state companies, and whoever opted out are excluded. The list is
published beside the log as ``exclusions.json``: a DSSE envelope of the operator's around canonical
JSON, naming cars by the SHA-256 of their keys, and saying nothing of why. It has a number that only
grows, so an old list is not taken for the present one, and an end, so a list that is withheld is
noticed. The vault keeps a list of its own and refuses those cars all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.car.withheld import WithheldError
from incamera.encoding import canonical, exact_keys, is_version, parse_canonical
from incamera.errors import Error, InputError, UnavailableError
from incamera.ids import Digest, Region, parse_digest, parse_name
from incamera.ledger.codec import parse_int
from incamera.ledger.queries import Queries
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey
from incamera.tlog.fetch import Fetch
from incamera.wire import MissingError

__all__ = ["PATH", "Exclusions", "check_excluded", "fetch_exclusions"]

PATH = "exclusions.json"
EXCLUSIONS_TYPE = "application/vnd.incamera.exclusions+json"
_MAX_BYTES = 1 << 23


@dataclass(frozen=True, slots=True)
class Exclusions:
    """The operator's list, read strictly."""

    region: Region
    number: int
    expires: int  # POSIX seconds
    cars: frozenset[Digest]

    def seal(self, operator: SigningKey) -> bytes:
        """The file, signed."""
        plain = {
            "v": 1,
            "region": self.region,
            "number": self.number,
            "expires": self.expires,
            "cars": sorted(self.cars),
        }
        return seal_envelope(canonical(plain), EXCLUSIONS_TYPE, operator)

    @classmethod
    def open(cls, data: bytes, where: str, operator: bytes) -> Exclusions:
        """The list in ``data``, signed by the key of 32 bytes; errors name ``where``."""
        opened = open_envelope(data, where, payload_type=EXCLUSIONS_TYPE, limit=_MAX_BYTES)
        opened.verify(operator)
        keys = ("v", "region", "number", "expires", "cars")
        value = exact_keys(parse_canonical(opened.payload, where), keys, where)
        if not is_version(value["v"], 1) or not isinstance(value["cars"], list):
            raise InputError(f"{where}: a list of a version not known here")
        cars = [parse_digest(each, f"{where}: cars") for each in value["cars"]]
        if cars != sorted(set(cars)):
            raise InputError(f"{where}: cars: expected sorted digests, none twice")
        return cls(
            region=Region(parse_name(value["region"], f"{where}: region")),
            number=parse_int(value["number"], f"{where}: number"),
            expires=parse_int(value["expires"], f"{where}: expires"),
            cars=_frozen(cars),
        )


def _frozen(cars: Iterable[Digest]) -> frozenset[Digest]:
    return frozenset(cars)


def fetch_exclusions(fetch: Fetch, kept: Path, state: Queries) -> None:
    """Fetch the list and keep it at ``kept``, if it is the operator's, and no older than that.

    A region without a list has none; one that had a list keeps the one it had. Errors as the list
    deserves them.
    """
    region = state.region
    if region is None:
        return
    try:
        data = fetch(PATH)
    except MissingError:
        return
    found = Exclusions.open(data, PATH, region.operator_key)
    if found.region != region.region:
        raise InputError(f"{PATH}: of region {found.region}, not of {region.region}")
    known = _known(kept, region.operator_key)
    if known is not None and found.number < known.number:
        raise InputError(f"{PATH}: number {found.number} after {known.number}: an old list")
    if known is None or found != known:
        durable.write(kept, data)


def _known(kept: Path, operator: bytes) -> Exclusions | None:
    try:
        return Exclusions.open(kept.read_bytes(), str(kept), operator)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError(f"{kept}: cannot read: {error.strerror}") from error


def check_excluded(switch: Path, kept: Path, car: Digest, state: Queries, now: int) -> None:
    """:class:`WithheldError` if this car is excluded, or that cannot be told."""
    if switch.exists():
        raise WithheldError(
            "excluded",
            f"this car is excluded: {switch} is there",
            hint="nothing is recorded for anybody while that file is there",
        )
    region = state.region
    if region is None:
        return
    try:
        known = _known(kept, region.operator_key)
    except Error as error:
        raise WithheldError(
            "exclusions",
            f"who is excluded cannot be told: {error.message}",
            hint=f"move {kept} away and let the car go online",
        ) from error
    if known is None:
        return
    if car in known.cars:
        raise WithheldError(
            "excluded",
            "this car is on the region's list of exclusions",
            hint="it records nothing; whoever thinks it should asks the operator",
        )
    if now >= known.expires:
        raise WithheldError(
            "exclusions",
            "the list of exclusions is over its time: who is excluded cannot be told",
            hint="let the car go online; if it is, the operator owes a new list",
        )
