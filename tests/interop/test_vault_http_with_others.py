# SPDX-License-Identifier: Apache-2.0
"""The vault over HTTP with software we did not write: tuspy sends, schemathesis tries it out."""

from __future__ import annotations

import hashlib
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign import run, tool

from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import SigningKey
from incamera.service import sign_call
from serving import CLOCK, WITNESSES, Region
from world import quick_folder

TOKEN = secrets.token_hex(32)

TUS = """
import sys
from tusclient.client import TusClient
url, header, path, digest, begun, stop = sys.argv[1:7]
client = TusClient(url, headers={"Authorization": header} if header else {})
more = {"url": begun} if begun else {"metadata": {"capsule": digest}}
sending = client.uploader(path, chunk_size=1 << 18, retries=2, retry_delay=1, **more)
sending.upload(stop_at=int(stop) or None)
print(sending.url, sending.offset)
"""

HOOKS = """
import schemathesis

@schemathesis.serializer("application/vnd.incamera.capsule", "application/offset+octet-stream")
def raw(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
"""


@pytest.fixture(scope="module")
def parties() -> Iterator[Region]:
    """Log, witnesses and a vault."""
    tool("st")
    with quick_folder() as folder:
        made = Region(folder)
        (folder / "tokens").write_text(hashlib.sha256(TOKEN.encode()).hexdigest())
        (folder / "tokens").chmod(0o600)
        config = made.parties["vault"].config
        told = config.read_text().replace("[log]", '[operator]\ntokens = "tokens"\n[log]', 1)
        config.write_text(told)
        try:
            made.start(["log", "vault", *WITNESSES])
            yield made
        finally:
            made.stop()


def tus(parties: Region, capsule: Capsule, begun: str = "", stop: int = 0) -> tuple[str, int]:
    """Have tuspy send it, from its beginning or from where ``begun`` is; where it is then."""
    key = SigningKey.load(parties.home.car / "signing.key")
    target = f"/uploads?capsule={capsule.digest}&length={capsule.size}"
    header = "" if begun else sign_call(key, "POST", target, b"", CLOCK.now())
    words = [parties.urls["vault"] + target, header, capsule.path, capsule.digest, begun, stop]
    said = run([tool("python"), "-c", TUS, *map(str, words)]).split()
    return said[0], int(said[1])


def test_tuspy_goes_on_where_it_stopped(parties: Region) -> None:
    """Stopped in the middle; the vault is killed; another tuspy asks, goes on, and is done."""
    capsule = read_capsule(parties.seal(bytes(2 << 20)))
    place, at = tus(parties, capsule, stop=1 << 20)
    assert 0 < at < capsule.size
    parties.parties["vault"].kill()
    parties.parties["vault"].start()
    assert tus(parties, capsule, begun=place) == (place, capsule.size)
    receipt = parties.client("vault").get(f"capsules/{capsule.digest}/receipt", limit=1 << 18)
    founding = parties.state().region
    assert founding is not None
    assert check_receipt(receipt, capsule.digest, founding, parties.policy).index > 0


def test_schemathesis_finds_the_vault_as_its_openapi_says(parties: Region, tmp_path: Path) -> None:
    """Every call of it, with what fits the description and what does not: no fault, no surprise."""
    (tmp_path / "hooks.py").write_text(HOOKS)
    checks = "not_a_server_error,status_code_conformance,content_type_conformance"
    command = [
        *(str(tool("st")), "run", f"{parties.urls['vault']}/openapi.json", "--seed", "1"),
        *("--phases", "coverage,fuzzing", "-n", "4", "--request-timeout", "10"),
        *("--checks", f"{checks},response_schema_conformance,unsupported_method"),
        *("-H", f"Authorization: Bearer {TOKEN}"),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert '"fault"' not in parties.parties["vault"].log()
