# SPDX-License-Identifier: Apache-2.0
"""The founding: made from cards, and believed by nobody unchecked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from incamera.cli.apart import join_region
from incamera.cli.card import Card, CardRole, read_card
from incamera.cli.ceremony import (
    FOUNDING,
    FOUNDING_TYPE,
    Founding,
    Rules,
    found_region,
    read_founding,
    witness_policy,
)
from incamera.cli.join import join, pin_policy
from incamera.cli.party import PartyPlan, make_party
from incamera.clock import FixedClock
from incamera.encoding import base64_text, canonical
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ids import Name, Region
from incamera.ledger.policies import default_policy
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.service.settings import TrusteeSettings, VaultSettings, WitnessSettings

CLOCK = FixedClock(1_800_000_000)
EU = Region("eu")
RULES = Rules(EU, 2, 0, 365, 1_000, default_policy("eu"))
PARTIES: tuple[tuple[CardRole, str, str], ...] = (
    ("witness", "w1", "DE"),
    ("witness", "w2", "FR"),
    ("witness", "w3", "NL"),
    ("log", "log", ""),
    ("vault", "vault", ""),
    ("trustee", "de", "DE"),
    ("trustee", "fr", "FR"),
    ("trustee", "nl", "NL"),
    ("owner", "ada", "DE"),
    ("car", "car-7", "DE"),
    ("reader", "lab", "DE"),
)
Cards = list[tuple[Card, bytes]]


def make(root: Path, role: CardRole, name: str, country: str, port: int = 7000) -> None:
    url = f"http://127.0.0.1:{port}" if role in ("witness", "log", "vault", "trustee") else ""
    make_party(root / name, PartyPlan(role, Name(name), Name(role), country, url, EU), CLOCK)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each party, and the operator's."""
    root = tmp_path_factory.mktemp("parties")
    for number, (role, name, country) in enumerate(PARTIES):
        make(root, role, name, country, 7000 + number)
    make(root, "operator", "op", "")
    found_region(root / "op", RULES, cards(root), CLOCK)
    return root


def cards(root: Path, without: Sequence[str] = ()) -> Cards:
    return [read_card(root / name) for _, name, _ in PARTIES if name not in without]


def test_a_founding_reads_back_with_everybody_in_it(root: Path) -> None:
    """The entries fold without a finding; operator, vault and trustees are who the cards say."""
    founding = read_founding(root / "op")
    assert founding.region.operator_key == SigningKey.load(root / "op" / "signing.key").public
    assert founding.region.vault_key == founding.one("vault").key
    assert [party.name for party in founding.state.parties("trustee")] == ["de", "fr", "nl"]
    assert all(founding.state.epoch(name, 1) for name in ("de", "fr", "nl"))
    assert founding.state.party("reader", "lab") is not None
    assert len(list(founding.state.findings())) == 0
    assert (root / "op" / "tlog-policy").read_bytes() == founding.policy.text


def test_log_and_vault_find_the_same_token_and_nobody_else_does(root: Path) -> None:
    """It is sealed to each of the two, for its own role."""
    founding = read_founding(root / "op")
    log, vault = (OpeningKey.load(root / each / "opening.key") for each in ("log", "vault"))
    assert founding.token("log", log) == founding.token("vault", vault)
    assert len(founding.token("log", log)) == 64
    for role, key in (("log", vault), ("vault", log), ("log", OpeningKey.generate())):
        with pytest.raises(IntegrityError):
            founding.token(role, key)


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (["log"], "0 cards of a log"),
        (["vault"], "0 cards of a vault"),
        (["w1", "w2", "w3"], "no card of a witness"),
        (["de", "fr"], "2 of 1 trustees"),
    ],
)
def test_who_is_missing_is_named(without: list[str], said: str, root: Path, tmp_path: Path) -> None:
    """A region without one of its parties is not founded."""
    make(tmp_path, "operator", "op", "")
    with pytest.raises(InputError, match=said):
        found_region(tmp_path / "op", RULES, cards(root, without), CLOCK)
    assert not (tmp_path / "op" / FOUNDING).exists()


def test_no_country_holds_the_threshold_and_nobody_sits_twice(root: Path, tmp_path: Path) -> None:
    """Two trustees of one country, one card twice, one name twice."""
    make(tmp_path, "operator", "op", "")
    make(tmp_path, "trustee", "de2", "DE", 7100)
    make(tmp_path, "witness", "w1", "IT", 7101)
    with pytest.raises(InputError, match="2 trustees sit in DE"):
        found_region(tmp_path / "op", RULES, [*cards(root), read_card(tmp_path / "de2")], CLOCK)
    with pytest.raises(InputError, match="two cards have one name"):
        found_region(tmp_path / "op", RULES, [*cards(root), read_card(root / "lab")], CLOCK)
    with pytest.raises(InputError, match="two cards have one name"):
        found_region(tmp_path / "op", RULES, [*cards(root), read_card(tmp_path / "w1")], CLOCK)


def altered(root: Path, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The founding with its payload changed, signed by the operator who is one of the bad."""
    envelope = json.loads((root / "op" / FOUNDING).read_bytes())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    change(payload)
    key = SigningKey.load(root / "op" / "signing.key")
    return seal_envelope(canonical(payload), FOUNDING_TYPE, key)


def drop(key: str, at: int) -> Callable[[dict[str, Any]], None]:
    return lambda payload: payload[key].pop(at)


def another_policy(payload: dict[str, Any]) -> None:
    text = base64.b64decode(payload["policy"]).replace(b"group witnesses 2", b"group witnesses 1")
    payload["policy"] = base64_text(text)


def another_text(payload: dict[str, Any]) -> None:
    path = next(iter(payload["texts"]))
    payload["texts"][path] = base64_text(b"permit(principal, action, resource);")


def no_texts(payload: dict[str, Any]) -> None:
    payload["texts"] = {}


def no_tokens(payload: dict[str, Any]) -> None:
    payload["tokens"] = {}


@pytest.mark.parametrize(
    "change",
    [
        *(drop("entries", at) for at in range(4)),
        *(drop("cards", at) for at in (0, 3, 4, 5, 8)),
        *(another_policy, another_text, no_texts, no_tokens),
        lambda payload: payload.update(v=2),
        lambda payload: payload.update(more=1),
        lambda payload: payload.update(entries=[]),
        lambda payload: payload["entries"].reverse(),
        lambda payload: payload["entries"].append(payload["entries"][1]),
    ],
)
def test_a_founding_that_does_not_hold_together_is_refused(
    change: Callable[[dict[str, Any]], None], root: Path, tmp_path: Path
) -> None:
    """Even if the operator signed it: each party compares all of it with all of it."""
    (tmp_path / FOUNDING).write_bytes(altered(root, change))
    with pytest.raises(Error):
        read_founding(tmp_path / FOUNDING)


def test_a_founding_of_another_operator_is_refused(root: Path, tmp_path: Path) -> None:
    """The signature must be of the key that the first entry names."""
    envelope = json.loads((root / "op" / FOUNDING).read_bytes())
    payload = base64.b64decode(envelope["payload"])
    data = seal_envelope(payload, FOUNDING_TYPE, SigningKey.generate())
    (tmp_path / FOUNDING).write_bytes(data)
    with pytest.raises(IntegrityError):
        read_founding(tmp_path)


def test_parties_join_and_their_configurations_are_what_servers_read(root: Path) -> None:
    """Witness, vault and trustee: keys, policy, token and peers are all in place."""
    for name in ("w1", "vault", "de", "lab", "op"):
        join(root / name, root / "op" / FOUNDING, CLOCK)
    founding = read_founding(root / "op")
    witness = WitnessSettings.load(root / "w1" / "serve.toml")
    (watched,) = witness.logs
    assert watched.vkey == founding.one("log").vkey
    assert watched.peer is not None
    assert watched.peer.url == founding.one("log").url
    vault = VaultSettings.load(root / "vault" / "serve.toml")
    assert vault.log.url == founding.one("log").url
    assert sorted(vault.trustees) == ["de", "fr", "nl"]
    assert vault.policy.read_bytes() == founding.policy.text
    trustee = TrusteeSettings.load(root / "de" / "serve.toml")
    assert (trustee.name, trustee.vault.url) == ("de", founding.one("vault").url)
    assert f"{trustee.listen.host}:{trustee.listen.port}" in founding.of("trustee")[0].url


@pytest.mark.parametrize(
    ("role", "name", "said"),
    [
        ("reader", "lab", ["next: incamera list --url"]),
        ("owner", "ada", ["next: incamera owner list --url"]),
        ("car", "car-7", ["next, the owner: incamera car consent", "then: incamera ingest"]),
        ("vault", "vault", ["next: incamera serve vault"]),
        ("reader", "late", ["next, the operator: incamera enrol", "then: incamera list --url"]),
        ("car", "car-8", ["next, the operator: incamera enrol", "then, the owner", "then: "]),
    ],
)
def test_who_joins_is_told_what_it_may_do_next(
    *,
    role: CardRole,
    name: str,
    said: list[str],
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A car lists nothing; who came after the founding is enrolled first."""
    if not (root / name).exists():
        make(root, role, name, "DE")
    join_region(root / name, root / "op", None, as_json=False)
    lines = capsys.readouterr().out.splitlines()[-len(said) :]
    assert all(line.startswith(each) for line, each in zip(lines, said, strict=True)), lines


def test_the_log_does_not_begin_without_its_witnesses(root: Path) -> None:
    """Nobody listens: nothing is published, and it can be tried again."""
    with pytest.raises(UnavailableError, match="does not make the quorum"):
        join(root / "log", root / "op", CLOCK)
    assert not (root / "log" / "public" / "checkpoint").exists()
    assert not (root / "log" / "serve.toml").exists()


def test_a_party_that_the_founding_does_not_name_cannot_join(root: Path, tmp_path: Path) -> None:
    """A trustee with other keys; a reader may come later."""
    make(tmp_path, "trustee", "de", "DE", 7005)
    make(tmp_path, "reader", "later", "DE")
    with pytest.raises(InputError, match="does not name trustee de"):
        join(tmp_path / "de", root / "op", CLOCK)
    join(tmp_path / "later", root / "op", CLOCK)
    assert (tmp_path / "later" / "tlog-policy").exists()


def test_a_pinned_policy_is_never_replaced(root: Path, tmp_path: Path) -> None:
    """The same again is fine, another one is refused."""
    text = read_founding(root / "op").policy.text
    pin_policy(tmp_path, text)
    pin_policy(tmp_path, text)
    with pytest.raises(IntegrityError, match="another tlog-policy was pinned"):
        pin_policy(tmp_path, text.replace(b"group witnesses 2", b"group witnesses 3"))
    assert (tmp_path / "tlog-policy").read_bytes() == text


@pytest.mark.parametrize(
    ("countries", "wanted"),
    [
        (["", "", ""], {"witnesses": (2, 3)}),
        ([""], {"witnesses": (1, 1)}),
        (["DE", "FR", "NL", "CH"], {"witnesses": (3, 4)}),
        (["DE", "FR", "NL", "CH", "IS", "UY", "SG"], {"witnesses": (5, 7)}),
        (["DE", "DE", "DE", "FR", "CH"], {"in-de": (2, 3), "witnesses": (2, 3)}),
        (["DE", "DE", "FR", "FR"], {"in-de": (2, 2), "in-fr": (2, 2), "witnesses": (2, 2)}),
    ],
)
def test_the_quorum_is_above_half_within_and_among_jurisdictions(
    countries: list[str], wanted: dict[str, tuple[int, int]], root: Path, tmp_path: Path
) -> None:
    """Two quorums share an honest witness, and no country makes one alone."""
    for number, country in enumerate(countries):
        make(tmp_path, "witness", f"w{number}", country, 7200 + number)
    witnesses = [read_card(tmp_path / f"w{number}")[0] for number in range(len(countries))]
    policy = witness_policy(read_card(root / "log")[0], witnesses)
    assert {n: (k, len(members)) for n, (k, members) in policy.groups.items()} == wanted
    for country in set(countries) if len(set(countries)) > 1 else ():
        inside = [each.name for each in witnesses if each.country == country]
        assert not policy.quorum_met(inside)
    assert policy.quorum_met([each.name for each in witnesses])


def test_some_witnesses_with_a_country_and_some_without_are_refused(
    root: Path, tmp_path: Path
) -> None:
    """Where jurisdictions are counted, each has one."""
    make(tmp_path, "witness", "w1", "DE", 7300)
    make(tmp_path, "witness", "w2", "", 7301)
    pair = [read_card(tmp_path / name)[0] for name in ("w1", "w2")]
    with pytest.raises(InputError, match="without a jurisdiction: w2"):
        witness_policy(read_card(root / "log")[0], pair)


def test_a_founding_is_one_value(root: Path) -> None:
    """Everybody who reads the file reads out the same digest."""
    one: Founding = read_founding(root / "op")
    assert one.digest == read_founding(root / "op" / FOUNDING).digest
