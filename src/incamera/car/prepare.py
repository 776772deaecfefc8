# SPDX-License-Identifier: Apache-2.0
"""All that must hold before anything that was recorded is looked at, in one order.

1. the clock can be right, and the log was read lately (``clock``, ``log``);
2. the car is not excluded (``excluded``, ``exclusions``);
3. the owner's consent holds now, and is not withdrawn (``consent``);
4. the campaign is in the log, in this text (``campaign``);
5. enough trustees stood for long enough (``trustees``).

The first that does not hold withholds everything. The vault and the log are asked before; what
they say counts only as far as it is signed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from incamera.car.campaigns import campaign_of
from incamera.car.consents import Consents, Found
from incamera.car.exclusion import check_excluded
from incamera.car.link import Link
from incamera.car.settings import CarSettings
from incamera.car.times import check_clock
from incamera.car.withheld import WithheldError
from incamera.errors import UnavailableError
from incamera.geofence import Zones
from incamera.ids import Name
from incamera.ingest import CarHome, Plan
from incamera.ingest.quota import Quota
from incamera.ingest.seating import seated_trustees
from incamera.ledger.queries import Queries
from incamera.ledger.rights import consent_digest
from incamera.sealing import Trustee
from incamera.sealing.header import Header
from incamera.sealing.keys import SigningKey

__all__ = ["Allowed", "allowed", "car_home", "look_for_consent"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be done now, and how."""

    found: Found
    home: CarHome
    plan: Plan


def allowed(settings: CarSettings, link: Link, key: SigningKey, now: int) -> Allowed:
    """Everything for an ingest; :class:`WithheldError` says why there must be none."""
    state, places = link.state, settings.places
    check_clock(now, state.time, settings.fresh)
    check_excluded(places.switch, places.exclusions, settings.car, state, now)
    found = look_for_consent(settings, state, now)
    if found.token is None:
        said = "; ".join(found.refused) or f"there is no token in {places.consents}"
        raise WithheldError(
            "consent",
            f"the owner's consent is missing: {said}",
            hint="the owner makes one with: incamera car consent",
        )
    campaign = campaign_of(state, link.fetch, places.campaigns, settings.campaign, now)
    zones = Zones.empty() if settings.zones is None else Zones.load(settings.zones)
    plan = Plan(zones, campaign, settings.geofence)
    return Allowed(found, car_home(settings, link, key, now, found), plan)


def look_for_consent(settings: CarSettings, state: Queries, now: int) -> Found:
    """The token that holds now, if one does."""
    return Consents(settings.places.consents, settings.owner, settings.car).look(state, now)


def car_home(
    settings: CarSettings, link: Link, key: SigningKey, now: int, found: Found | None = None
) -> CarHome:
    """The car as ingest knows it; without ``found`` only to send what was sealed before."""
    state, places = link.state, settings.places
    region, owner, policies = state.region, None, state.documents("policy")
    if region is not None:
        owner = state.party("owner", settings.owner)
    if region is None or owner is None or not policies:
        raise WithheldError(
            "rules",
            f"the log names no region, no policy or no owner {settings.owner}",
            hint="have the operator enrol the owner",
        )
    trustees: tuple[Trustee, ...] = ()
    purposes: tuple[Name, ...] = ()
    consent = ""
    if found is not None and found.token is not None:
        consent, purposes = found.token.digest, found.token.consent.purposes
        try:
            trustees = seated_trustees(state, link.policy, settings.seating, region.threshold, now)
        except UnavailableError as error:
            raise WithheldError("trustees", error.message, hint=error.hint) from error
    return CarHome(
        vehicle=settings.vehicle,
        key=key,
        owner=owner.opening,
        trustees=trustees,
        region=region,
        policy=policies[-1],
        consent=consent,
        purposes=purposes,
        log_policy=link.policy,
        spool=places.spool,
        journal=places.journal,
        quota=Quota(
            settings.room.spool,
            settings.room.free,
            settings.room.drop_triggered,
            _unwanted(state),
        ),
    )


def _unwanted(state: Queries) -> Callable[[Header], str | None]:
    """Why a sealed capsule must not be sent any more, by the log as it was read last."""

    def why(header: Header) -> str | None:
        if state.withdrawn(consent_digest(header.consent), header.owner.key) is not None:
            return "its owner took the consent back"
        return None

    return why
