# SPDX-License-Identifier: Apache-2.0
"""One trustee, to pass shares on or take them over: in a home, or by its server's configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.cli.home import Home
from incamera.clock import SystemClock
from incamera.errors import InputError
from incamera.ids import Digest, Name, parse_name
from incamera.sealing.capsule import read_capsule
from incamera.trustee import Trustee
from incamera.trustee.succession import Evidence, Publish

__all__ = ["Seated", "by_config", "in_home", "seated"]


@dataclass(frozen=True, slots=True)
class Seated:
    """A trustee, where it gets a capsule's header and shares, and how it publishes a file."""

    trustee: Trustee
    evidence: Evidence
    publish: Publish

    def deal(self, number: int) -> int:
        """Pass our shares on; how many capsules."""
        return self.trustee.deal(number, self.evidence, self.publish)

    def take_over(self, number: int) -> int:
        """Combine what was dealt to us; how many capsules."""
        return self.trustee.take_over(number, self.evidence, self.publish)


@contextlib.contextmanager
def in_home(home: Home, name: Name) -> Iterator[Seated]:
    """A trustee of a home."""
    if not home.paths.trustee(name).exists():
        raise InputError(f"no trustee {name} in this home")

    def evidence(capsule: Digest) -> tuple[bytes, Sequence[bytes]]:
        found = read_capsule(home.vault.path(capsule))
        return found.envelope, found.wrapped

    def publish(kind: str, path: Path, digest: Digest) -> None:
        durable.create(home.paths.public_text(kind, digest), path.read_bytes())

    trustee = home.trustee(name)
    try:
        yield Seated(trustee, evidence, publish)
    finally:
        trustee.close()


@contextlib.contextmanager
def by_config(config: Path) -> Iterator[Seated]:
    """The trustee of a ``serve.toml``; its server may go on running meanwhile."""
    from incamera.service.clients import VaultClient
    from incamera.service.settings import TrusteeSettings
    from incamera.service.trustee import seat

    settings, clock = TrusteeSettings.load(config), SystemClock()
    trustee = seat(settings, clock)
    vault = VaultClient(settings.vault.url, trustee.keys.signing, clock, ca=settings.vault.ca)

    def evidence(capsule: Digest) -> tuple[bytes, Sequence[bytes]]:
        (found,) = vault.evidence([capsule])
        return found.envelope, found.wrapped

    def publish(kind: str, path: Path, digest: Digest) -> None:
        vault.publish(kind, digest, path.read_bytes())

    try:
        yield Seated(trustee, evidence, publish)
    finally:
        trustee.close()


@contextlib.contextmanager
def seated(root: Path | None, name: str | None, config: Path | None) -> Iterator[Seated]:
    """The trustee that the options name: ``--config``, or ``--home`` and ``--trustee``."""
    if config is not None and root is None and name is None:
        with by_config(config) as found:
            yield found
    elif root is not None and name is not None and config is None:
        with in_home(Home(root), parse_name(name, "--trustee")) as found:
            yield found
    else:
        raise InputError(
            "name one trustee: --config SERVE.TOML, or --home HOME with --trustee NAME"
        )
