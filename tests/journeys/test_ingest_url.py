# SPDX-License-Identifier: Apache-2.0
"""A car apart ingests by its vault's URL: what it believes, whom it obeys, and what it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

import engines
from incamera.cli.card import read_card
from incamera.cli.ceremony import enrolment
from incamera.cli.ingest import command as ingest
from incamera.cli.init import command as init
from incamera.ids import Digest, Name, digest
from incamera.ids import Region as LegalRegion
from incamera.ledger.codec import encode
from incamera.ledger.consent import Consent
from incamera.ledger.entries import WithdrawEntry
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import SigningKey, key_id
from incamera.vault.bucket import Bucket
from incamera.vault.s3 import S3Blobs
from serving import CLOCK, WITNESSES, Region
from videos import film

EARTH = 111_320.0  # metres a degree


@pytest.fixture(scope="module")
def store() -> Iterator[engines.Engine]:
    """Where the vault keeps its capsules."""
    with engines.s3() as found:
        yield found


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory, store: engines.Engine) -> Iterator[Region]:
    """Log, vault and witnesses as processes; what a car needs. The vault has a bucket."""
    found = Region(tmp_path_factory.mktemp("region"))
    keys = found.folder / "s3.toml"
    keys.write_text('access_key_id = "a"\nsecret_access_key = "b"\n')
    keys.chmod(0o600)
    with found.parties["vault"].config.open("a") as config:
        config.write(f'[blobs]\nurl = "s3://{engines.BUCKET}/eu"\nendpoint = "{store.url}"\n')
        config.write('region = "eu-central-1"\ncredentials = "s3.toml"\n')
    try:
        found.start(["log", "vault", *WITNESSES])
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of two cameras, saved by a tap, and where the car was."""
    folder = tmp_path_factory.mktemp("stick")
    event = folder / "TeslaCam" / "SavedClips" / "2026-05-01_12-00-03"
    event.mkdir(parents=True)
    for camera in ("front", "back"):
        path = event / f"2026-05-01_12-00-00-{camera}.mp4"
        film(path, times=range(16), time_base=Fraction(1, 4), rate=4)
    said = {"timestamp": "2026-05-01T12:00:03", "reason": "user_interaction_dashcam_icon_tapped"}
    (event / "event.json").write_text(json.dumps(said | {"est_lat": "48", "est_lon": "11.5"}))
    points = "".join(
        f'<trkpt lat="{48 + 10 * n / EARTH:.6f}" lon="11.5">'
        f"<time>2026-05-01T10:00:{n:02d}Z</time></trkpt>"
        for n in range(30)
    )
    where = "http://www.topografix.com/GPX/1/1"
    gpx = (
        f'<gpx version="1.1" creator="x" xmlns="{where}"><trk><trkseg>{points}</trkseg></trk></gpx>'
    )
    (folder / "track.gpx").write_text(gpx)
    return folder


class Car:
    """A folder as ``incamera init DIR --as car`` makes it."""

    def __init__(self, parties: Region, folder: Path, name: str) -> None:
        self.parties, self.folder = parties, folder / name
        made = CliRunner().invoke(
            init, [str(self.folder), "--as", "car", "--name", name, "--country", "DE"]
        )
        assert made.exit_code == 0, made.output
        self.key = SigningKey.load(self.folder / "signing.key")
        self.owner = SigningKey.load(parties.home.owner / "signing.key")

    def enrol(self) -> None:
        """By the operator, in the log."""
        card, _ = read_card(self.folder)
        entry = enrolment(card, LegalRegion("eu"), CLOCK.now())
        key = SigningKey.load(self.parties.home.operator)
        self.parties.submit(encode(entry, key))

    def consent(self, seconds: int = 3600, car: bytes | None = None) -> bytes:
        """The owner's token, put where the car looks for it."""
        now = CLOCK.now()
        token = Consent(
            region=LegalRegion("eu"),
            owner=Name("owner"),
            car=key_id(car or self.key.public),
            purposes=(Name("driver-assistance"),),
            not_before=now - 7200,
            expires=now + seconds,
            parked=False,
            nonce=bytes(16),
        ).seal(self.owner)
        (self.folder / "consent").write_bytes(token)
        return token

    def ingest(self, stick: Path, *more: str, code: int = 0) -> str:
        """The command's whole output."""
        pinned = str(self.parties.home.log_policy)
        words = [str(stick / "TeslaCam"), "--url", self.parties.urls["vault"]]
        words += ["--keys", str(self.folder), "--policy", pinned, "--owner", "owner"]
        words += ["--positions", str(stick / "track.gpx"), "--align", "start"]
        words += ["--ends-metres", "0", "--ends-seconds", "0", *more]
        done = CliRunner().invoke(ingest, words)
        if code == 0:
            assert done.exit_code == 0, done.output
            return done.output
        error = done.exception
        assert getattr(error, "exit_code", None) == code, (error, done.output)
        return str(error)


def test_a_car_apart_ingests_by_url_and_once_more_adds_nothing(
    parties: Region, store: engines.Engine, stick: Path, tmp_path: Path
) -> None:
    """Sealed to the log's trustees under the owner's consent, admitted, receipt verified."""
    car = Car(parties, tmp_path, "car-9")
    car.enrol()
    token = car.consent()
    said = json.loads(car.ingest(stick, "--json"))
    assert (said["admitted"], said["waiting"], said["frames"]) == (1, 0, 32)
    (receipt,) = (car.folder / "journal" / "receipts").iterdir()
    name = receipt.name.removesuffix(".tlog-proof")
    assert parties.state().capsule(name) is not None
    blobs = S3Blobs(Bucket(engines.BUCKET, "eu", store.url, "eu-central-1", "a", "b"))
    assert list(blobs.names()) == [name]
    with blobs.local(Digest(name)) as path:
        header = read_capsule(path).header
        assert (header.consent, header.vehicle) == (digest(token), "car-9")
    assert not list((parties.home.vault / "blobs").rglob(name))
    again = json.loads(car.ingest(stick, "--json"))
    assert (again["admitted"], again["already"], again["sealed"]) == (0, 1, 0)


def test_without_enrolment_or_consent_nothing_is_looked_at(
    parties: Region, stick: Path, tmp_path: Path
) -> None:
    """Each is said by name: not enrolled, no token, another car's, over, taken back."""
    car = Car(parties, tmp_path, "car-8")
    assert "not enrolled" in car.ingest(stick, code=5)
    car.enrol()
    assert "cannot read the owner's consent" in car.ingest(stick, code=5)
    car.consent(car=car.owner.public)
    assert "given for another car" in car.ingest(stick, code=5)
    car.consent(seconds=-60)
    assert "its time is over" in car.ingest(stick, code=5)
    assert "owner stranger is not enrolled" in car.ingest(stick, "--owner", "stranger", code=5)
    token = car.consent()
    taken = WithdrawEntry(
        region=LegalRegion("eu"),
        time=CLOCK.now(),
        owner=Name("owner"),
        consents=(digest(token),),
        cars=(),
    )
    parties.submit(encode(taken, car.owner))
    assert "took this consent back" in car.ingest(stick, code=5)
    assert not (car.folder / "spool").exists()


def test_a_campaign_that_is_not_in_the_log_is_not_run(
    parties: Region, stick: Path, tmp_path: Path
) -> None:
    """Whoever hands a car a secret campaign is refused."""
    car = Car(parties, tmp_path, "car-7")
    car.enrol()
    car.consent()
    secret = tmp_path / "secret.toml"
    secret.write_text('version = 1\nname = "secret"\n[saved]\nbefore = 1\nafter = 1\n')
    assert "not in the region's log" in car.ingest(stick, "--campaign", str(secret), code=5)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--url", "http://127.0.0.1:9", "--keys", "."], "no such card"),
        (["--url", "http://127.0.0.1:9"], "--keys DIR"),
        (["--home", "home", "--url", "http://127.0.0.1:9"], "exclude each other"),
        ([], "name the region"),
    ],
    ids=["no-card", "no-keys", "both", "nothing"],
)
def test_options_that_do_not_fit_are_wrong_usage(
    words: Sequence[str], wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with every other verb that takes --home or --url."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drive").mkdir()
    done = CliRunner().invoke(ingest, ["drive", *words])
    assert wanted in done.output + str(done.exception)
    assert done.exit_code != 0
