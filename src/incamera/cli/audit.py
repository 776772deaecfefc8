# SPDX-License-Identifier: Apache-2.0
"""``incamera audit``: what an outsider can check, checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from incamera.audit import Demand, Finding, Report, audit
from incamera.cli import terminal
from incamera.cli.layout import Layout
from incamera.clock import SystemClock
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.tlog.fetch import FolderFetch

__all__ = ["command", "run", "told", "told_demand", "told_finding"]


def processes() -> int:
    """How many processes may read a long log: one for each core this one may use."""
    return len(os.sched_getaffinity(0))


def run(
    paths: Layout,
    *,
    policy: Path | None = None,
    datasets: Sequence[Path] = (),
    extracts: Sequence[Path] = (),
) -> Report:
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
    with terminal.bar("reading", "entries") as advance:
        return audit(
            fetch,
            text,
            SystemClock(),
            public=paths.public,
            blobs=blobs if blobs.is_dir() or (paths.root / "home.toml").exists() else None,
            datasets=datasets,
            extracts=extracts,
            processes=processes(),
            advance=lambda done, total: advance(done, total, None),
        )


def told_finding(finding: Finding) -> str:
    """One finding for people."""
    return f"{finding.severity}: {finding.where}: {finding.what}\n   {finding.hint}"


def told_demand(demand: Demand) -> str:
    """One request for people."""
    refused = ", ".join(f"{name} ({code})" for name, code in demand.refused)
    return (
        f"  entry {demand.index}: {demand.reader} ({demand.kind}, {demand.country}) asked for "
        f"{demand.capsules} capsules, for {demand.purpose}; granted by "
        f"{', '.join(demand.granted) or 'nobody'}; refused by {refused or 'nobody'}"
    )


def told(report: Report) -> list[str]:
    """The report for people: findings first, then what was looked at."""
    lines = [told_finding(each) for each in report.findings]
    shown = ", ".join(
        f"{count} {what}"
        for what, count in sorted(report.counts.items())
        if count and what not in ("errors", "warnings")
    )
    lines.append(f"checked {report.size} log entries of {report.origin or 'no log'}: {shown}")
    lines += [told_demand(each) for each in report.demands]
    lines += [f"  {each}" for each in report.addresses]
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
@click.option("--url", help="Where a log is served: it is mirrored first, then audited.")
@click.option(
    "--mirror",
    type=click.Path(path_type=Path),
    help="With --url: the folder to mirror into. A later audit reads only what is new.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="The tlog-policy to judge by. Default: the published one (with --mirror: the one "
    "published at the first visit); keep a copy of your own.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A dataset's manifest.json: is it backed by a request and enough grants?",
)
@click.option(
    "--extracts",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A car's extracts.jsonl: did its vault leave anything out of what it told the car?",
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path),
    help="With --url: certificates (PEM) of the authority to believe for TLS.",
)
@click.option("--follow", is_flag=True, help="With --url: go on watching, and tell what is new.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=86_400),
    default=60.0,
    show_default=True,
    help="With --follow: seconds between two looks.",
)
@click.option(
    "--evidence",
    type=click.Path(path_type=Path),
    help="Only check this evidence file: does it prove that a log of the policy forked?",
)
@terminal.json_option
def command(
    root: Path | None,
    public: Path | None,
    url: str | None,
    mirror: Path | None,
    policy: Path | None,
    datasets: tuple[Path, ...],
    extracts: tuple[Path, ...],
    ca: Path | None,
    follow: bool,
    interval: float,
    evidence: Path | None,
    as_json: bool,
) -> None:
    """Check everything that is public, as an outsider would: no key, no vault, no trust.

    The log is append-only, cosigned, complete and readable, entry by entry; each entry was its
    signer's to say; each read had a request, each dataset enough grants. With --home each stored
    capsule is checked byte by byte as well. Whatever was altered ends with exit code 4.

    With --url the log is copied first, into --mirror DIR, which can be served on as it is. A log
    that went back or forked since the last visit is an error; the proof is kept as one file.

    Example: incamera audit --public copy/public --policy my-copy-of-tlog-policy

    Example: incamera audit --url https://log.example/eu --mirror eu --follow
    """
    source = click.get_current_context().get_parameter_source("root")
    if source is ParameterSource.ENVIRONMENT and (public or url or evidence):
        root = None
    if evidence is not None:
        from incamera.cli.audit_url import check_evidence

        check_evidence(evidence, _policy_file(policy, root, public, mirror), as_json=as_json)
        return
    if sum(each is not None for each in (root, public, url)) != 1:
        raise InputError("name one of --home, --public and --url", hint="incamera audit --help")
    if url is not None:
        from incamera.cli.audit_url import Far

        if follow and extracts:
            raise click.UsageError("--extracts goes with a single audit, without --follow.")
        far = Far(
            *(url, ca, mirror, policy),
            datasets=datasets,
            extracts=extracts,
            as_json=as_json,
        )
        code = far.follow(interval) if follow else far.audit()
        raise SystemExit(code)
    if follow or mirror or ca:
        raise click.UsageError("--mirror, --follow and --ca go with --url.")
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: no such folder")
    paths = Layout(root) if root is not None else _Copy(public or Path())
    report = run(paths, policy=policy, datasets=datasets, extracts=extracts)
    terminal.result(report.to_json(), told(report), as_json)
    if not report.ok:
        raise SystemExit(IntegrityError.exit_code)


def _policy_file(
    policy: Path | None, root: Path | None, public: Path | None, mirror: Path | None
) -> Path:
    """Where the policy lies that an evidence file is judged by."""
    if policy is not None:
        return policy
    if mirror is not None:
        return mirror / "policy"
    if root is not None:
        return Layout(root).log_policy
    if public is not None:
        return public / "tlog-policy"
    raise click.UsageError("--evidence wants --policy FILE: the tlog-policy that names the log.")


class _Copy(Layout):
    """A bare public folder."""

    @property
    def public(self) -> Path:
        """The folder itself."""
        return self.root
