# SPDX-License-Identifier: Apache-2.0
"""A car apart: its own folder of keys, and a region of which it believes only the public log.

What lies in the folder, beside ``card.json``, ``signing.key`` and the pinned ``tlog-policy``:

* ``consent``: the owner's token (``docs/formats/consent.md``);
* ``spool/``, ``journal/``: as in a home.

Whom it seals to, under which policy and campaign, is what its own reading of the log says. Whose
car it is, the log cannot know: that is said on the spot.
"""

from __future__ import annotations

from pathlib import Path

from incamera.cli.card import Card, read_card
from incamera.cli.join import POLICY
from incamera.errors import InputError, IntegrityError, PolicyError
from incamera.ids import Name
from incamera.ingest import CarHome
from incamera.ingest.seating import Seating, seated_trustees
from incamera.ledger.consent import Token, check_consent, open_consent
from incamera.ledger.rows import Party
from incamera.ledger.state import State
from incamera.sealing.keys import SigningKey, key_id
from incamera.tlog.policy import Policy
from incamera.trigger import Campaign, default_campaign

__all__ = ["car_at", "logged_campaign"]


def car_at(folder: Path, state: State, owner: Name, consent: Path | None, now: int) -> CarHome:
    """The car whose keys lie in ``folder``, in the region that ``state`` is the log of.

    ``consent``: the token; None: the one in the folder. ``now``: POSIX seconds.
    :class:`PolicyError` if the car is not enrolled or the owner does not consent,
    :class:`InputError` for keys that are no car's, :class:`UnavailableError` if too few trustees
    can be sealed to.
    """
    card, _ = read_card(folder)
    if card.role != "car":
        raise InputError(
            f"{folder}: the keys of {card.role} {card.name}, not of a car",
            hint="--keys DIR names the folder that `incamera init DIR --as car` made",
        )
    key = SigningKey.load(folder / "signing.key")
    policies, region = state.documents("policy"), state.region
    if region is None or not policies:
        raise IntegrityError("the log names no region, or no policy")
    log_policy = Policy.parse((folder / POLICY).read_bytes(), str(folder / POLICY))
    whose = _enrolled(state, card, owner)
    token = _consented(state, consent or folder / "consent", whose, key, now)
    return CarHome(
        vehicle=card.name,
        key=key,
        owner=whose.opening,
        trustees=seated_trustees(state, log_policy, Seating(), region.threshold, now),
        region=region,
        policy=policies[-1],
        consent=token.digest,
        purposes=token.consent.purposes,
        log_policy=log_policy,
        spool=folder / "spool",
        journal=folder / "journal",
    )


def _enrolled(state: State, card: Card, owner: Name) -> Party:
    """The owner, if the log has enrolled both; the vault would take nothing of others."""
    car, whose = state.party("car", card.name), state.party("owner", owner)
    if car is None or car.key != card.key:
        raise PolicyError(
            f"car {card.name} is not enrolled in the log with the key that is here",
            hint="hand its card.json to the operator, for: incamera enrol",
        )
    if whose is None:
        raise PolicyError(
            f"owner {owner:.60} is not enrolled in the log",
            hint="--owner says whose car this is, by the name in the log",
        )
    return whose


def _consented(state: State, path: Path, owner: Party, key: SigningKey, now: int) -> Token:
    """The owner's consent for this car, as it stands now."""
    try:
        token = open_consent(path.read_bytes(), str(path))
    except OSError as error:
        raise PolicyError(
            f"{path}: cannot read the owner's consent: {error.strerror}: nothing is looked at",
            hint="--consent FILE names the token that the owner gave for this car",
        ) from error
    check_consent(token, state, owner=owner.name, car=key_id(key.public), now=now)
    taken = state.withdrawn(token.digest, key_id(owner.opening))
    if taken is not None:
        raise PolicyError(f"{path}: the owner took this consent back in log entry {taken}")
    return token


def logged_campaign(state: State, path: Path | None) -> Campaign:
    """The campaign at ``path``, or the default one, if all can see in the log that it is run."""
    campaign = default_campaign() if path is None else Campaign.load(path)
    if campaign.digest is None or state.published("campaign", campaign.digest) is None:
        raise PolicyError(
            f"{path or 'the default campaign'}: not in the region's log: a car runs no other",
            hint="the operator publishes it first",
        )
    return campaign
