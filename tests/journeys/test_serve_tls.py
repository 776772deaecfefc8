# SPDX-License-Identifier: Apache-2.0
"""Parties that speak TLS under a certificate authority of their own, and believe no other."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from incamera.errors import UnavailableError
from incamera.sealing.capsule import read_capsule
from incamera.wire import Client
from serving import Region, region
from world import quick_folder

Key = ec.EllipticCurvePrivateKey


def certificate(
    name: str, key: Key, issuer: str, signer: Key, *, host: str | None = None
) -> x509.Certificate:
    """Of a server at the address ``host``, or of an authority."""
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    if host is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        made = made.add_extension(names, critical=False)
    return made.sign(signer, hashes.SHA256())


def authority(folder: Path, host: str = "127.0.0.1") -> tuple[Path, Path, Path]:
    """Certificate and key of a server, and the authority that vouches for it, as files."""
    root, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("test authority", root, "test authority", root)
    leaf = certificate("party", server, "test authority", root, host=host)
    folder.mkdir(exist_ok=True)
    paths = folder / "server.pem", folder / "server.key", folder / "ca.pem"
    pem = serialization.Encoding.PEM
    paths[0].write_bytes(leaf.public_bytes(pem))
    plain = serialization.NoEncryption()
    paths[1].write_bytes(server.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    paths[1].chmod(0o600)
    paths[2].write_bytes(ca.public_bytes(pem))
    return paths


@pytest.fixture(scope="module")
def parties() -> Iterator[Region]:
    """A whole region that speaks TLS."""
    with quick_folder() as folder, region(folder, tls=authority(folder / "tls")) as made:
        yield made


def test_a_clip_is_delivered_and_granted_over_tls(parties: Region) -> None:
    """Every call between the parties, and ours to them, is encrypted and checked."""
    assert all(url.startswith("https://") for url in parties.urls.values())
    path = parties.seal(b"over tls")
    parties.upload(path)
    reader = parties.enrol()
    capsule = parties.kept(reader, read_capsule(path).digest)
    leaf = parties.leaf(reader, [capsule])
    index = parties.submit(leaf)
    grants = [parties.decide(name, leaf, index, capsule) for name in parties.names[1:]]
    assert parties.open(reader, capsule, leaf, grants) == b"over tls"


def test_a_server_that_nobody_vouches_for_is_not_talked_to(parties: Region, tmp_path: Path) -> None:
    """Neither one whose authority we do not know, nor one that uses another's name."""
    unknown = Client(parties.urls["vault"], attempts=1)
    other = Client(parties.urls["vault"], ca=authority(tmp_path / "other")[2], attempts=1)
    name = parties.urls["vault"].replace("127.0.0.1", "localhost")
    misnamed = Client(name, ca=parties.ca, attempts=1)
    for client in (unknown, other, misnamed):
        with client, pytest.raises(UnavailableError, match=r"(?i)certificate"):
            client.get("region", limit=10_000)


def test_plain_http_is_not_answered_where_tls_is_spoken(parties: Region) -> None:
    """No downgrade."""
    plain = Client(parties.urls["log"].replace("https", "http"), attempts=1)
    with plain, pytest.raises(UnavailableError):
        plain.get("checkpoint", limit=10_000)
