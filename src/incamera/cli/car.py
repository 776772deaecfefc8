# SPDX-License-Identifier: Apache-2.0
"""The car of a home: what it seals under comes from the public log, not from a setting."""

from __future__ import annotations

from pathlib import Path

from incamera.cli.home import Home
from incamera.cli.tend import tend
from incamera.encoding import exact_keys, parse_canonical
from incamera.errors import IntegrityError, PolicyError
from incamera.ids import Digest, Name, parse_name
from incamera.ingest import CarHome
from incamera.ingest.home import present_trustees
from incamera.ledger.entries import CampaignEntry, ZonesEntry
from incamera.ledger.state import State
from incamera.sealing.keys import SigningKey
from incamera.sealing.seal import Trustee
from incamera.trigger import Campaign, default_campaign

__all__ = ["announce_zones", "announced_campaign", "car_home"]


def car_home(home: Home) -> CarHome:
    """Keys, parties and rules for an ingest; the consent is read now, not remembered."""
    state, paths = home.state(), home.paths
    owner = state.party("owner", "owner")
    policies = state.documents("policy")
    if owner is None or not policies:
        raise IntegrityError(f"{paths.public}: the log names no owner, or no policy")
    consent, purposes = _consent(paths.consent)
    return CarHome(
        vehicle=Name("car"),
        key=SigningKey.load(paths.car / "signing.key"),
        owner=owner.opening,
        trustees=_trustees(home, state),
        region=home.region(),
        policy=policies[-1],
        consent=consent,
        purposes=purposes,
        log_policy=home.log_policy,
        spool=paths.car / "spool",
        journal=paths.car / "journal",
    )


def _trustees(home: Home, state: State) -> tuple[Trustee, ...]:
    """The trustees to seal to. Those of a home live in it: one that slept is woken first."""
    now = home.clock.now()
    names = [Name(each) for each in home.settings.trustees]
    if any(not state.epochs(name, at=now) for name in names):
        tend(home, names)
        state = home.state()
    return present_trustees(state, names, home.settings.threshold, now)


def _consent(path: Path) -> tuple[str, tuple[Name, ...]]:
    if not path.exists():
        raise PolicyError(
            "the owner has not consented to any purpose: nothing is looked at",
            hint=f"the consent of this car would lie at {path}",
        )
    value = exact_keys(
        parse_canonical(path.read_bytes(), str(path)), ("v", "id", "purposes", "since"), str(path)
    )
    return str(value["id"]), tuple(parse_name(each, str(path)) for each in value["purposes"])


def announced_campaign(home: Home, path: Path | None) -> Campaign:
    """The campaign at ``path`` (or the default one), in the public log before a car runs it."""
    campaign = default_campaign() if path is None else Campaign.load(path)
    assert campaign.digest is not None
    if home.state().published("campaign", campaign.digest) is None:
        assert path is not None  # the default campaign is announced when a home is founded
        home.publish("campaign", path.read_bytes(), ".toml")
        now = home.clock.now()
        region = home.settings.region
        home.say(CampaignEntry(region=region, time=now, campaign=campaign.digest))
    return campaign


def announce_zones(home: Home, zones: Digest) -> None:
    """Say in the log which zone set is used; the zones themselves may be secret by law."""
    if home.state().published("zones", zones) is None:
        home.say(ZonesEntry(region=home.settings.region, time=home.clock.now(), zones=zones))
