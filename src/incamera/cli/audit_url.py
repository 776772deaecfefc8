# SPDX-License-Identifier: Apache-2.0
"""``incamera audit --url`` and ``--evidence``: a log that is elsewhere, once or again and again."""

from __future__ import annotations

import contextlib
import datetime
import json
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click

from incamera import durable
from incamera.audit.visit import Visit, Visitor
from incamera.audit.watch import News, watch
from incamera.cli import terminal
from incamera.cli.audit import processes, told, told_demand, told_finding
from incamera.cli.where import log_at
from incamera.clock import SystemClock
from incamera.errors import InputError, IntegrityError
from incamera.ledger import evidence
from incamera.tlog.policy import Policy

__all__ = ["Far", "check_evidence"]


@dataclass(frozen=True, slots=True)
class Far:
    """A log behind a URL, and how it is to be audited."""

    url: str
    ca: Path | None
    mirror: Path | None
    policy: Path | None
    datasets: Sequence[Path]
    extracts: Sequence[Path]
    as_json: bool

    def audit(self) -> int:
        """One visit; the exit code."""
        with self._visitor() as visitor:
            with terminal.bar("the log", "entries") as advance:
                visit = visitor.visit(
                    self.datasets,
                    lambda what, done, total: advance(done, total, what),
                    extracts=self.extracts,
                )
            terminal.result(_document(visit), told(visit.report), self.as_json)
            self._say_where(visit)
        return 0 if visit.report.ok else IntegrityError.exit_code

    def follow(self, interval: float) -> int:
        """Visit after visit, until ^C, SIGTERM or a fork; the exit code."""
        code, never = 0, threading.Event()
        with self._visitor() as visitor, _ended_by_signals():
            for news in watch(visitor, lambda: never.wait(interval), self.datasets):
                self._tell(news, interval)
                if news.visit is not None:
                    code = 0 if news.visit.report.ok else IntegrityError.exit_code
                    if news.visit.evidence is not None:
                        self._say_where(news.visit)
        return code

    @contextlib.contextmanager
    def _visitor(self) -> Iterator[Visitor]:
        text = None
        if self.policy is not None:
            try:
                text = self.policy.read_bytes()
            except OSError as error:
                raise InputError(f"{self.policy}: cannot read: {error.strerror}") from error
        fetch = log_at(self.url, ca=self.ca, seconds=15.0)
        with contextlib.ExitStack() as stack:
            stack.callback(fetch.close)
            folder = self.mirror
            if folder is None:
                made = tempfile.TemporaryDirectory(prefix="incamera-audit-")
                folder = Path(stack.enter_context(made))
            yield Visitor(folder, fetch, SystemClock(), policy_text=text, processes=processes())

    def _say_where(self, visit: Visit) -> None:
        if visit.evidence is not None and self.mirror is None:
            kept = Path(visit.evidence.name)
            durable.create(kept, visit.evidence.read_bytes())
            terminal.note(f"the proof of the fork is kept in {kept}")
        elif self.mirror is None:
            terminal.note("nothing is remembered; with --mirror DIR the next audit goes on here")

    def _tell(self, news: News, interval: float) -> None:
        if self.as_json:
            if news.worth_telling:
                click.echo(json.dumps(_news(news), ensure_ascii=False, sort_keys=True))
            return
        for line in _lines(news, interval):
            click.echo(line)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """^C and SIGTERM leave the block, at once and without a word of failure."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _EndedError

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with contextlib.suppress(_EndedError):
            yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _EndedError(BaseException):
    """Somebody wants this process to end."""


def _document(visit: Visit) -> dict[str, Any]:
    document = visit.report.to_json()
    document["since"] = visit.since
    document["evidence"] = str(visit.evidence) if visit.evidence else None
    return document


def _news(news: News) -> dict[str, Any]:
    if news.visit is None:
        return {"away": news.away.message if news.away else ""}
    return {
        "ok": news.visit.report.ok,
        "size": news.visit.report.size,
        "time": news.visit.report.time,
        "back": news.back,
        "new": dict(sorted(news.grown.items())),
        "demands": [asdict(each) for each in news.demands],
        "findings": [asdict(each) for each in news.found],
        "gone": [asdict(each) for each in news.gone],
        "evidence": str(news.visit.evidence) if news.visit.evidence else None,
    }


def _lines(news: News, interval: float) -> Iterator[str]:
    """What is new, in plain words; nothing if nothing is."""
    if news.visit is None:
        why = news.away.message if news.away else ""
        yield f"{_stamp()} the log does not answer ({why}): asking again every {interval:g} s"
        return
    if not news.worth_telling:
        return
    report = news.visit.report
    if news.back:
        yield f"{_stamp()} the log answers again"
    if news.grown:
        kinds = ", ".join(f"{n} {what.split()[0]}" for what, n in sorted(news.grown.items()))
        total = sum(news.grown.values())
        yield f"{_stamp()} {total} new entries, {report.size} in all: {kinds}"
    yield from (told_demand(each) for each in news.demands)
    yield from (told_finding(each) for each in news.found)
    yield from (f"no more: {each.where}: {each.what}" for each in news.gone)
    warned = f", {report.counts['warnings']} warnings" if report.counts["warnings"] else ""
    stands = "all well" if report.ok else f"FAILED: {report.counts['errors']} errors"
    yield f"{_stamp()} {stands}{warned}"


def _stamp() -> str:
    moment = datetime.datetime.fromtimestamp(SystemClock().now(), datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def check_evidence(path: Path, policy: Path, *, as_json: bool) -> None:
    """Say what an evidence file proves; :class:`IntegrityError` if that is nothing."""
    try:
        data, text = path.read_bytes(), policy.read_bytes()
    except OSError as error:
        raise InputError(f"{error.filename}: cannot read: {error.strerror}") from error
    try:
        small, large = evidence.check_evidence(data, Policy.parse(text), str(path))
    except IntegrityError as error:
        raise IntegrityError(
            f"{path} proves nothing: {error.message}",
            hint="only two trees that one log of the policy signed, and that contradict each "
            "other, prove a fork",
        ) from error
    roots = [(each.size, each.root.hex()) for each in (small, large)]
    document = {
        "forked": True,
        "origin": small.origin,
        "trees": [{"size": size, "root": root} for size, root in roots],
    }
    lines = [f"this log forked: {small.origin} signed two trees that cannot both be true"]
    lines += [f"  {size} entries with the root {root}" for size, root in roots]
    if small.size != large.size:
        lines.append("  the smaller tree is no beginning of the larger one")
    lines.append("publish it, and show it to the trustees: nothing here can be relied on any more")
    terminal.result(document, lines, as_json)
