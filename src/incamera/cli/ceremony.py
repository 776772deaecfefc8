# SPDX-License-Identifier: Apache-2.0
"""The founding of a region whose parties live apart: from their cards to one file, ``region.json``.

The operator makes it (``incamera init DIR --as region``); each party checks all of it before it
takes part (``--join``). It is public: a DSSE envelope of the operator's with the tlog-policy, the
first log entries, the texts they name, and the cards. The one secret in it, the token that lets
the vault write to the log, is sealed to the two of them.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from incamera import durable
from incamera.cli.card import Card
from incamera.clock import Clock
from incamera.encoding import (
    base64_bytes,
    base64_text,
    canonical,
    exact_keys,
    is_version,
    parse_canonical,
)
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import (
    Address,
    AddressesEntry,
    CampaignEntry,
    PartyEntry,
    PolicyEntry,
    RegionEntry,
    Role,
)
from incamera.ledger.rows import Party
from incamera.ledger.state import State
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.sealing.wrap import unwrap, wrap
from incamera.tlog.policy import Policy

__all__ = ["Founding", "Rules", "enrolment", "found_region", "read_founding", "witness_policy"]

FOUNDING = "region.json"
FOUNDING_TYPE = "application/vnd.incamera.founding+json"
_MAX = 1 << 23
_TOKEN = b"incamera log token 1\0"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides."""

    region: Region
    threshold: int
    notice: int  # seconds
    retention: int  # days
    quota: int
    policy: str  # Cedar
    addresses: Sequence[Address] = field(default=())  # none: nothing is declared


@dataclass(frozen=True, slots=True)
class Founding:
    """A region about to begin: checked by :func:`read_founding` before anybody acts on it."""

    policy: Policy
    entries: tuple[bytes, ...]
    texts: tuple[tuple[str, bytes], ...]  # path beside the log, text
    cards: tuple[Card, ...]
    tokens: dict[str, bytes]  # of log and vault, sealed
    state: State
    digest: Digest  # of the file: to be read out and compared

    @property
    def region(self) -> RegionEntry:
        """Entry 0."""
        found = self.state.region
        assert found is not None
        return found

    def of(self, role: str) -> list[Card]:
        """The cards of a role, by name."""
        return sorted((c for c in self.cards if c.role == role), key=lambda card: card.name)

    def one(self, role: str) -> Card:
        """The one card of a role."""
        return self.of(role)[0]

    def token(self, role: str, key: OpeningKey) -> str:
        """The token that was sealed to this party, as text."""
        return unwrap(self.tokens[role], key, _TOKEN + role.encode("ascii")).hex()


# Making it


def witness_policy(log: Card, witnesses: Sequence[Card]) -> Policy:
    """Whom to believe: groups by jurisdiction, each and all of them above half.

    Of n members q cosign, q the least above (n+f)/2, where f is the most below n/3: then two
    quorums share an honest member even if f are bad. Where jurisdictions are named each is a group
    by that rule, and so are they together, so that no state that commands all witnesses within
    its borders makes a quorum.
    """
    countries = {each.country for each in witnesses}
    if "" in countries and len(countries) > 1:
        bare = ", ".join(each.name for each in witnesses if not each.country)
        raise InputError(f"witnesses without a jurisdiction: {bare}", hint="--country, or none")
    lines = [f"log {log.vkey} {log.url}"]
    lines += [f"witness {each.name} {each.vkey} {each.url}" for each in witnesses]
    members = []
    for country in sorted(countries):
        inside = [each.name for each in witnesses if each.country == country]
        if len(countries) == 1 or len(inside) == 1:
            members += inside
            continue
        group = f"in-{country.lower()}"
        lines.append(f"group {group} {_above_half(len(inside))} {' '.join(inside)}")
        members.append(Name(group))
    lines += [f"group witnesses {_above_half(len(members))} {' '.join(members)}"]
    return Policy.parse("\n".join([*lines, "quorum witnesses", ""]))


def _above_half(count: int) -> int:
    bad = max(0, (count - 1) // 3)
    return (count + bad) // 2 + 1


def enrolment(card: Card, region: Region, time: int) -> PartyEntry:
    """The entry that enrols a card's party: readers, owners, cars, trustees."""
    if card.role not in ("reader", "owner", "car", "trustee"):
        raise InputError(f"{card.role} {card.name}: only readers, owners, cars and trustees enrol")
    return PartyEntry(
        region=region,
        time=time,
        role=card.role,
        name=card.name,
        kind=card.kind,
        country=card.country,
        key=card.key,
        opening=card.opening,
    )


def found_region(
    folder: Path, rules: Rules, cards: Sequence[tuple[Card, bytes]], clock: Clock
) -> Founding:
    """Check the cards, make ``region.json`` and ``tlog-policy`` in the operator's ``folder``."""
    found = [card for card, _ in cards]
    _check_cards(found, rules.threshold)
    operator = SigningKey.load(folder / "signing.key")
    log, vault = (next(c for c in found if c.role == role) for role in ("log", "vault"))
    policy = witness_policy(log, [each for each in found if each.role == "witness"])
    texts, entries = _entries(rules, found, policy, operator, clock.now())
    token = secrets.token_bytes(32)
    payload = {
        "v": 1,
        "policy": base64_text(policy.text),
        "entries": [base64_text(each) for each in entries],
        "texts": {path: base64_text(text) for path, text in texts},
        "cards": [base64_text(data) for _, data in cards],
        "tokens": {
            each.role: base64_text(wrap(token, each.opening, _TOKEN + each.role.encode("ascii")))
            for each in (log, vault)
        },
    }
    data = seal_envelope(canonical(payload), FOUNDING_TYPE, operator)
    founding = _parse(data, str(folder / FOUNDING))
    durable.write(folder / "tlog-policy", policy.text)
    durable.write(folder / FOUNDING, data)
    return founding


def _check_cards(cards: Sequence[Card], threshold: int) -> None:
    """Who is missing, who is there twice, and whether one country could open a capsule."""
    count = Counter(each.role for each in cards)
    for role in ("log", "vault"):
        if count[role] != 1:
            raise InputError(f"{count[role]} cards of a {role}: a region has one")
    if not count["witness"]:
        raise InputError("no card of a witness", hint="a log without witnesses is believed by none")
    if not 2 <= threshold <= count["trustee"] <= 32:
        raise InputError(
            f"{threshold} of {count['trustee']} trustees: the threshold must be 2 to the number of "
            "trustees, and there may be 32",
            hint="--card of each trustee, --threshold 2",
        )
    seats = Counter(each.country for each in cards if each.role == "trustee")
    country, most = seats.most_common(1)[0]
    if most >= threshold:
        raise InputError(
            f"{most} trustees sit in {country}, and {threshold} can open a capsule",
            hint="no jurisdiction may hold the threshold: take trustees from others",
        )
    for kind, keys in (
        ("name", [(each.role, each.name) for each in cards]),
        ("key", [each.key for each in cards]),
        ("opening key", [each.opening for each in cards if each.opening]),
    ):
        if len(set(keys)) != len(keys):
            raise InputError(f"two cards have one {kind}", hint="each party makes keys of its own")


def _entries(
    rules: Rules, cards: Sequence[Card], policy: Policy, operator: SigningKey, now: int
) -> tuple[list[tuple[str, bytes]], list[bytes]]:
    """The texts beside the log, and the entries it begins with."""
    cedar = rules.policy.encode()
    campaign = resources.files("incamera.trigger").joinpath("default.toml").read_bytes()
    first = RegionEntry(
        region=rules.region,
        time=now,
        operator_key=operator.public,
        vault_key=next(each.key for each in cards if each.role == "vault"),
        log_policy=digest(policy.text),
        threshold=rules.threshold,
        notice=rules.notice,
        retention=rules.retention,
        quota=rules.quota,
    )
    entries = [encode(first, operator)]
    for role in ("owner", "car", "trustee", "reader"):
        for card in sorted((c for c in cards if c.role == role), key=lambda c: c.name):
            entries.append(encode(enrolment(card, rules.region, now), operator))
            if card.entry:
                entries.append(card.entry)
    entries.append(
        encode(PolicyEntry(region=rules.region, time=now, policy=digest(cedar)), operator)
    )
    entries.append(
        encode(CampaignEntry(region=rules.region, time=now, campaign=digest(campaign)), operator)
    )
    if rules.addresses:  # last: what comes before is the founding that audits compare with
        allowed = tuple(sorted(set(rules.addresses)))
        declared = AddressesEntry(region=rules.region, time=now, allowed=allowed)
        entries.append(encode(declared, operator))
    texts = [
        (f"policy/{digest(cedar)}.cedar", cedar),
        (f"campaign/{digest(campaign)}.toml", campaign),
    ]
    return texts, entries


# Reading it


def read_founding(path: Path) -> Founding:
    """The founding at ``path``, with everything in it checked against everything else."""
    path = path / FOUNDING if path.is_dir() else path
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        hint = "the operator makes it: incamera init DIR --as region --card ..."
        raise InputError(f"{path}: no such file", hint=hint) from error
    except OSError as error:
        raise UnavailableError(f"{path}: cannot read: {error.strerror}") from error
    return _parse(data, str(path))


def _parse(data: bytes, where: str) -> Founding:
    envelope = open_envelope(data, where, payload_type=FOUNDING_TYPE, limit=_MAX)
    keys = ("v", "policy", "entries", "texts", "cards", "tokens")
    value = exact_keys(parse_canonical(envelope.payload, where), keys, where)
    if not is_version(value["v"], 1) or not all(
        isinstance(value[k], list) for k in ("entries", "cards")
    ):
        raise InputError(f"{where}: a founding of a version not known here")
    if not all(isinstance(value[key], dict) for key in ("texts", "tokens")):
        raise InputError(f"{where}: texts and tokens are objects")
    entries = tuple(base64_bytes(each, f"{where}: entry") for each in value["entries"])
    cards = [base64_bytes(each, f"{where}: card") for each in value["cards"]]
    founding = Founding(
        policy=Policy.parse(base64_bytes(value["policy"], f"{where}: policy"), where),
        entries=entries,
        texts=tuple((k, base64_bytes(v, f"{where}: {k}")) for k, v in value["texts"].items()),
        cards=tuple(Card.open(each, f"{where}: card {n}") for n, each in enumerate(cards)),
        tokens={k: base64_bytes(v, f"{where}: token") for k, v in value["tokens"].items()},
        state=_fold(entries, where),
        digest=digest(data),
    )
    envelope.verify(founding.region.operator_key)
    _check(founding, where)
    return founding


def _fold(entries: Sequence[bytes], where: str) -> State:
    """The entries as everybody will read them: not one of them without effect."""
    state = State()
    for index, entry in enumerate(entries):
        finding = state.apply(index, entry, 0)
        if finding is not None:
            raise IntegrityError(f"{where}: {finding.text}")
    if state.region is None:
        raise InputError(f"{where}: founds no region")
    return state


def _check(founding: Founding, where: str) -> None:
    """Cards, entries, policy and texts are of one another."""
    region, state = founding.region, founding.state
    _check_cards(founding.cards, region.threshold)
    vault, log = founding.one("vault"), founding.one("log")
    policy = witness_policy(log, [each for each in founding.cards if each.role == "witness"])
    if policy.text != founding.policy.text or digest(policy.text) != region.log_policy:
        raise IntegrityError(f"{where}: the tlog-policy is not the one that the cards make")
    if vault.key != region.vault_key or set(founding.tokens) != {"log", "vault"}:
        raise IntegrityError(f"{where}: the vault of the first entry is not the vault's card")
    enrolled = {(p.role, p.name, p.key, p.opening, p.country, p.kind) for p in _parties(state)}
    carded = {
        (c.role, c.name, c.key, c.opening, c.country, c.kind)
        for c in founding.cards
        if c.role in ("owner", "car", "trustee", "reader")
    }
    if enrolled != carded:
        raise IntegrityError(f"{where}: who is enrolled is not who handed in a card")
    for path, text in founding.texts:
        kind, _, name = path.partition("/")
        if kind not in ("policy", "campaign") or name.partition(".")[0] != digest(text):
            raise IntegrityError(f"{where}: {path!r:.80} is not named by its digest")
    named = {*state.documents("policy"), *state.documents("campaign")}
    if named != {digest(text) for _, text in founding.texts}:
        raise IntegrityError(f"{where}: a text that an entry names is missing, or one too many")


def _parties(state: State) -> list[Party]:
    roles: tuple[Role, ...] = ("owner", "car", "trustee", "reader")
    return [party for role in roles for party in state.parties(role)]
