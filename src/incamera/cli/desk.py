# SPDX-License-Identifier: Apache-2.0
"""Where a reader or an owner works from: what the verbs need, wherever the region's parties are.

Two things are such a desk: a home, where all parties lie in one folder (``home_desk``), and a
folder of one's own keys with the region behind HTTP (``url_desk``). A verb is written once,
against :class:`Desk`, and believes neither: what a desk brings from others is checked against the
desk's own reading of the log.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import click
from click.core import ParameterSource

from incamera.cli.layout import Layout
from incamera.clock import Clock
from incamera.ids import Digest, Name
from incamera.ledger.entries import RegionEntry
from incamera.ledger.request import GrantRequest
from incamera.ledger.rows import Requested
from incamera.ledger.state import State
from incamera.sealing.header import Header
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.fetch import Fetch
from incamera.tlog.policy import Policy
from incamera.tlog.proof import Proof
from incamera.vault import Row

if TYPE_CHECKING:
    from incamera.release.source import Fetched  # loads what reads recordings

__all__ = ["Desk", "Kept", "Keys", "Shown", "with_desk"]

Kept = Literal["kept"] | None
"""Which rows: only capsules that can be read, or all."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The private keys of whoever sits here."""

    name: Name
    signing: SigningKey
    opening: OpeningKey


@dataclass(frozen=True, slots=True)
class Shown:
    """A capsule without its ciphertext, its digests checked: what trustees are shown."""

    digest: Digest
    envelope: bytes
    header: Header
    wrapped: tuple[bytes, ...]


class Desk(Protocol):
    """A region as one of its readers (or owners) sees it."""

    clock: Clock
    #: The options that led here, for the commands in hints: ``--home home``.
    words: str

    @property
    def workers(self) -> int:
        """How many trustees may be asked at once."""
        ...

    @property
    def log_policy(self) -> Policy:
        """Whom this desk believes about the log."""
        ...

    @property
    def fetch(self) -> Fetch:
        """The public files, unchecked."""
        ...

    def state(self) -> State:
        """This desk's own reading of the log, up to its present checkpoint."""
        ...

    def region(self) -> RegionEntry:
        """Entry 0 of the log."""
        ...

    def trustees(self, named: Sequence[str] = ()) -> list[Name]:
        """Those that can be asked; or those ``named``, :class:`InputError` for an unknown one.

        ``name=url`` says where a trustee is to be found, for a desk that asks over HTTP.
        """
        ...

    def parties(self) -> dict[Name, str]:
        """URLs of vault, log, witnesses and trustees, by name, as far as this desk knows them."""
        ...

    def rows(self, *, status: Kept = None, tag: str | None = None) -> list[Row]:
        """The vault's catalogue. It only helps to find: nothing in it is believed."""
        ...

    def shown(self, capsules: Sequence[Digest]) -> list[Shown]:
        """Those capsules, in this order; for at most 128."""
        ...

    def place(self, asked: Requested) -> tuple[bytes, Proof]:
        """The request's exact log entry, and that it is there under a fresh checkpoint."""
        ...

    def ask(self, trustee: Name, request: GrantRequest) -> bytes:
        """The grant's envelope, not yet checked; or the trustee's error."""
        ...

    def read_by(self, trustee: Name) -> int:
        """How many log entries the trustee says it has read; its error if it cannot be asked."""
        ...

    def capsules(self, wanted: Sequence[Digest]) -> Iterator[list[Fetched]]:
        """Those capsules as files, in any order, some at a time; errors of each as they come."""
        ...

    def submit(self, entry: bytes) -> int:
        """Into the log; where, as seen by this desk's own reading of it."""
        ...

    def publish_list(self, listed: bytes) -> None:
        """A list of capsules beside the log, for all to read."""
        ...

    def asker(self, name: str | None, kind: str, country: str | None) -> tuple[Keys, bool]:
        """Who asks, and whether it was enrolled on the way."""
        ...

    def sits_here(self, reader: str) -> bool:
        """True if :meth:`reader` has the keys of that name."""
        ...

    def reader(self, name: str) -> Keys:
        """The keys of a reader who sits here; :class:`InputError` if none of that name does."""
        ...

    def folder(self, reader: str) -> Path:
        """Where a reader keeps what it is given: proofs of its requests, grants."""
        ...

    @property
    def home_paths(self) -> Layout | None:
        """Where the parties' things lie, if all are in one home: the car among them."""
        ...

    def owner(self) -> Keys:
        """The keys of the owner who sits here."""
        ...

    def operator(self) -> SigningKey:
        """The operator's key, if the operator sits here."""
        ...


def _open(values: dict[str, Any]) -> Desk:
    """The desk that the options name: exactly one of ``--home`` and ``--url``."""
    root, url = values.pop("root"), values.pop("url")
    keys, ca = values.pop("keys"), values.pop("ca")
    policy, trust_first = values.pop("pin"), values.pop("trust_first")
    source = click.get_current_context().get_parameter_source("root")
    if url is None:
        if root is None:
            raise click.UsageError("name the region: --home HOME, or --url URL with --keys DIR.")
        if policy or trust_first or ca:
            raise click.UsageError("--policy, --trust-first and --ca go with --url.")
        from incamera.cli.home_desk import HomeDesk

        return HomeDesk.at(root)
    if root is not None and source is not ParameterSource.ENVIRONMENT:
        raise click.UsageError("--home and --url exclude each other.")
    if keys is None:
        raise click.UsageError("--url wants --keys DIR: the folder `incamera init DIR --as` made.")
    from incamera.cli.url_desk import UrlDesk

    return UrlDesk.at(url, keys, policy=policy, trust_first=trust_first, ca=ca)


_OPTIONS = (
    click.option(
        "--home",
        "root",
        envvar="INCAMERA_HOME",
        type=click.Path(path_type=Path),
        help="A home made by `incamera init` (or set INCAMERA_HOME).",
    ),
    click.option("--url", envvar="INCAMERA_URL", help="The vault of a region that lives apart."),
    click.option(
        "--keys",
        envvar="INCAMERA_KEYS",
        type=click.Path(path_type=Path),
        help="With --url: your own folder, made by `incamera init DIR --as ROLE`.",
    ),
    click.option(
        "--policy",
        "pin",
        type=click.Path(path_type=Path),
        help="With --url, the first time: the tlog-policy to believe from then on.",
    ),
    click.option(
        "--trust-first",
        is_flag=True,
        help="With --url, the first time: believe the tlog-policy that is published.",
    ),
    click.option(
        "--ca",
        type=click.Path(path_type=Path),
        help="With --url: certificates (PEM) of the authority to believe for TLS.",
    ),
)


def with_desk(function: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options that name a region, and ``desk`` as its first argument."""

    @functools.wraps(function)
    def opened(**values: Any) -> None:
        function(_open(values), **values)

    for option in reversed(_OPTIONS):
        opened = option(opened)
    return opened
