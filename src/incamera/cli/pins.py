# SPDX-License-Identifier: Apache-2.0
"""Whom a reader believes about the log: decided once, by the reader, and not by the vault."""

from __future__ import annotations

from pathlib import Path

from incamera.cli import terminal
from incamera.cli.join import POLICY, pin_policy
from incamera.errors import InputError
from incamera.ids import digest
from incamera.service.clients import VaultClient
from incamera.tlog.remote import HttpFetch

__all__ = ["pin_at_first"]


def pin_at_first(
    folder: Path, vault: VaultClient, *, policy: Path | None, trust_first: bool, ca: Path | None
) -> None:
    """Pin ``policy`` in ``folder``; without one, the published policy if ``trust_first`` says so.

    :class:`InputError` if nothing is pinned and nothing was named, :class:`IntegrityError` if
    another policy is pinned.
    """
    if policy is not None:
        pin_policy(folder, _read(policy))
        return
    if (folder / POLICY).exists():
        return
    if not trust_first:
        raise InputError(
            f"{folder}: no tlog-policy is pinned here, so no log can be believed",
            hint="get the region's tlog-policy from its operator by a way you trust and name it "
            "with --policy FILE; --trust-first takes the published one unseen",
        )
    fetch = HttpFetch(vault.region().log, ca=ca)
    text = fetch(POLICY)
    pin_policy(folder, text)
    terminal.note(
        f"pinned the tlog-policy that {fetch.url} publishes, unseen: SHA-256 {digest(text)}; "
        "compare it with somebody who had it from elsewhere"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the tlog-policy: {error.strerror}") from error
