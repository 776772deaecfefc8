# SPDX-License-Identifier: Apache-2.0
"""``incamera audit``: what an outsider can check, checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from incamera.audit import Report, audit
from incamera.cli import terminal
from incamera.cli.layout import Layout
from incamera.clock import SystemClock
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.tlog.fetch import FolderFetch

__all__ = ["command", "run", "told"]


def run(paths: Layout, *, policy: Path | None = None, datasets: Sequence[Path] = ()) -> Report:
    """Audit what lies below ``paths``: the public folder, and capsules where they are at hand."""
    blobs = paths.vault / "blobs"
    fetch = FolderFetch(paths.public)
    try:
        text = fetch("tlog-policy") if policy is None else policy.read_bytes()
    except (OSError, UnavailableError) as error:
        raise InputError(
            f"{policy or paths.log_policy}: no policy to judge by: {error}",
            hint="name the tlog-policy you trust with --policy",
        ) from error
    return audit(
        fetch,
        text,
        SystemClock(),
        public=paths.public,
        blobs=blobs if blobs.is_dir() or (paths.root / "home.toml").exists() else None,
        datasets=datasets,
    )


def told(report: Report) -> list[str]:
    """The report for people: findings first, then what was looked at."""
    lines = [
        f"{each.severity}: {each.where}: {each.what}\n   {each.hint}" for each in report.findings
    ]
    shown = ", ".join(
        f"{count} {what}"
        for what, count in sorted(report.counts.items())
        if count and what not in ("errors", "warnings")
    )
    lines.append(f"checked {report.size} log entries of {report.origin or 'no log'}: {shown}")
    for each in report.demands:
        refused = ", ".join(f"{name} ({code})" for name, code in each.refused)
        lines.append(
            f"  entry {each.index}: {each.reader} ({each.kind}, {each.country}) asked for "
            f"{each.capsules} capsules, for {each.purpose}; granted by "
            f"{', '.join(each.granted) or 'nobody'}; refused by {refused or 'nobody'}"
        )
    warned = f", {report.counts['warnings']} warnings" if report.counts["warnings"] else ""
    lines.append(
        f"all well{warned}" if report.ok else f"FAILED: {report.counts['errors']} errors{warned}"
    )
    return lines


@click.command("audit")
@click.option(
    "--home",
    "root",
    envvar="INCAMERA_HOME",
    type=click.Path(path_type=Path),
    help="A home: its public folder, and the stored capsules too.",
)
@click.option(
    "--public",
    type=click.Path(path_type=Path),
    help="Only a copy of a public folder, as any web server gives it.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="The tlog-policy to judge by. Default: the published one; keep a copy of your own.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A dataset's manifest.json: is it backed by a request and enough grants?",
)
@terminal.json_option
def command(
    root: Path | None,
    public: Path | None,
    policy: Path | None,
    datasets: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Check everything that is public, as an outsider would: no key, no vault, no trust.

    The log is append-only, cosigned, complete and readable, entry by entry; each entry was its
    signer's to say; each read had a request, each dataset enough grants. With --home each stored
    capsule is checked byte by byte as well. Whatever was altered ends with exit code 4.

    Example: incamera audit --public copy/public --policy my-copy-of-tlog-policy
    """
    if (root is None) == (public is None):
        raise InputError("name either --home or --public", hint="incamera audit --help")
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: no such folder")
    paths = Layout(root) if root is not None else _Copy(public or Path())
    report = run(paths, policy=policy, datasets=datasets)
    terminal.result(report.to_json(), told(report), as_json)
    if not report.ok:
        raise SystemExit(IntegrityError.exit_code)


class _Copy(Layout):
    """A bare public folder."""

    @property
    def public(self) -> Path:
        """The folder itself."""
        return self.root
