# SPDX-License-Identifier: Apache-2.0
"""``incamera init DIR --join region.json``: a party checks a founding and takes its place in it.

From here on it believes the tlog-policy in that file and no other: it is copied into DIR and never
replaced. The log begins its tree with the founding's entries, for which its witnesses must answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from incamera import durable
from incamera.cli import serving
from incamera.cli.card import CARD, Card, CardRole, read_card
from incamera.cli.ceremony import Founding, read_founding
from incamera.cli.party import party_key
from incamera.clock import Clock
from incamera.errors import InputError, IntegrityError
from incamera.ledger.addresses import found_under, hold
from incamera.sealing.keys import OpeningKey
from incamera.tlog.fetch import FolderFetch
from incamera.tlog.keys import load_signer
from incamera.tlog.log import Log
from incamera.tlog.policy import Policy
from incamera.tlog.reader import LogReader
from incamera.tlog.remote import HttpWitness

__all__ = ["join", "listen_of", "pin_policy"]

POLICY = "tlog-policy"
TOKEN = "token"  # noqa: S105  # a file's name


def join(
    folder: Path, founding: Path, clock: Clock, listen: str | None = None
) -> tuple[Card, Founding]:
    """Pin the policy, write ``serve.toml``, and (a log) begin; the party's card, the founding.

    ``listen``: address of the server, where it is not the one in the card's URL.
    """
    card, _ = read_card(folder)
    found = read_founding(founding)
    _check_own(folder, card, found)
    pin_policy(folder, found.policy.text)
    for each in found.state.addresses():
        found_under(folder, each.entry)
    hold(folder)
    at = listen or listen_of(card.url)
    if card.role == "witness":
        known = found.one("log")
        serving.write_witness(folder, at, known.vkey, known.url)
    elif card.role == "log":
        _begin(folder, found, clock)
        witnesses = [each.url for each in found.of("witness")]
        paths = {"public": "public", "policy": POLICY, "state": "state"}
        serving.write_log(folder, at, witnesses, **paths)
    elif card.role == "vault":
        _token(folder, card, found)
        urls = {str(each.name): each.url for each in found.of("trustee")}
        log = found.one("log").url
        serving.write_vault(folder, at, log, urls, policy=POLICY, token=TOKEN)
    elif card.role == "trustee":
        serving.write_trustee(
            folder,
            at,
            card.name,
            log=found.one("log").url,
            vault=found.one("vault").url,
            witnesses={str(each.name): each.url for each in found.of("witness")},
            policy=POLICY,
        )
    return card, found


def listen_of(url: str) -> str:
    """``host:port`` of a URL, for a server that is reached directly."""
    host = url.split("://", 1)[-1].split("/", 1)[0]
    return host if ":" in host else f"0.0.0.0:{443 if url.startswith('https') else 80}"


def pin_policy(folder: Path, text: bytes) -> None:
    """Believe this tlog-policy from now on; :class:`IntegrityError` if another was pinned."""
    Policy.parse(text)
    path = folder / POLICY
    if path.exists() and path.read_bytes() != text:
        raise IntegrityError(
            f"{path}: another tlog-policy was pinned here before",
            hint="find out which is right, by another way than the one it came by; then remove "
            "that file, and with it what was read under it",
        )
    durable.create(path, text)


def _check_own(folder: Path, card: Card, found: Founding) -> None:
    """The founding names us as our card does, and the card is of the key that is here."""
    assert card.role in get_args(CardRole)
    if party_key(folder, card.role).public != card.key:
        raise IntegrityError(
            f"{folder / CARD}: not the card of the key in this folder",
            hint="make it again: incamera init DIR --as ...",
        )
    if card.role == "operator":
        known = card.key == found.region.operator_key
    else:
        ours = (card.role, card.name, card.key, card.opening, card.vkey, card.url)
        known = ours in {(c.role, c.name, c.key, c.opening, c.vkey, c.url) for c in found.cards}
    named = (card.role, card.name) in {(c.role, c.name) for c in found.cards}
    # Who comes later is enrolled in the log: a reader, and a trustee that joins.
    later = card.role in ("reader", "owner", "car", "trustee") and not named
    if not known and not later:
        raise InputError(
            f"the founding of region {found.region.region} does not name {card.role} {card.name} "
            "as its card does",
            hint="hand card.json to the operator, who makes region.json again",
        )


def _token(folder: Path, card: Card, found: Founding) -> None:
    key = OpeningKey.load(folder / "opening.key")
    serving.write_token(folder / TOKEN, found.token(card.role, key))


def _begin(folder: Path, found: Founding, clock: Clock) -> None:
    """The log's first tree: the founding's entries, in one batch. Once more does nothing more."""
    _token(folder, found.one("log"), found)
    public, state = folder / "public", folder / "state"
    for path, text in found.texts:
        durable.create(public / path, text)
    witnesses = [HttpWitness(each.url) for each in found.of("witness")]
    signer = load_signer(folder / "note.key")
    make = Log if (state / "tree").exists() else Log.create
    log = make(public, state, signer, witnesses, found.policy, clock)
    # Finishes what a crash, or a witness that did not answer, cut short.
    if log.refresh().checkpoint.size == 0:
        log.append(found.entries)
    reader = LogReader(FolderFetch(public), found.policy)
    size = reader.checkpoint().checkpoint.size
    count = len(found.entries)
    if size < count or tuple(reader.entries(0, count, size)) != found.entries:
        raise IntegrityError(
            f"{public}: this log begins with other entries than the founding's",
            hint="a log is founded once; begin in a new folder",
        )
