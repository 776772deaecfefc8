# SPDX-License-Identifier: Apache-2.0
"""``incamera car status`` for people: what holds, what does not, and what to do about it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

__all__ = ["told"]


def told(document: dict[str, Any]) -> list[str]:
    """One line a matter; what is wrong has a line of its own."""
    return [
        *_agent(document),
        *_consent(document["consent"]),
        *_rules(document),
        *_withheld(document["withheld"]),
        *_drives(document.get("drives", ())),
        *_spool(document["spool"]),
        *_worker(document["worker"]),
    ]


def _when(seconds: int | None) -> str:
    if not seconds:
        return "never"
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _agent(document: dict[str, Any]) -> list[str]:
    heard, log = document["agent"], document["log"]
    state = heard.get("state", "the agent never ran")
    doubt = f" ({heard['doubt']})" if heard.get("doubt") else ""
    lines = [f"car       {document['vehicle']}: {state}{doubt}"]
    if heard and not heard.get("folder"):
        lines.append(f"          the recording folder is away: {heard.get('why')}")
    if heard.get("clock"):
        lines.append("          the clock jumped: no consent holds until the log was read again")
    lines += [f"          {each}" for each in heard.get("failed", ())]
    return [*lines, f"log       {log['entries']} entries, as of {_when(log['witnessed'])}"]


def _consent(consent: dict[str, Any]) -> list[str]:
    if not consent["on"]:
        return ["consent   OFF: nothing is looked at", *(f"          {e}" for e in consent["why"])]
    parked = "parked too" if consent["parked"] else "not while parked"
    purposes = ", ".join(consent["purposes"])
    return [f"consent   for {purposes}; until {_when(consent['until'])}; {parked}"]


def _rules(document: dict[str, Any]) -> list[str]:
    exclusion = document["exclusion"]
    lines = [f"excluded  {exclusion['why'] if exclusion['excluded'] else 'no'}"]
    lines.append(f"campaign  {document['campaign'] or 'none was run yet'}")
    doubted = [each for each in document["trustees"] if each["doubt"]]
    seated = len(document["trustees"]) - len(doubted)
    lines.append(f"trustees  {seated} to seal to")
    return [*lines, *(f"          not {each['name']}: {each['doubt']}" for each in doubted)]


def _withheld(withheld: dict[str, Any]) -> list[str]:
    lines = [f"withheld  {count} files: {why}" for why, count in withheld["files"].items()]
    if withheld["rule"]:
        _, message, hint = withheld["rule"]
        lines.append(f"withheld  everything: {message}")
        lines += [f"          {hint}"] if hint else []
    return [*lines, f"to do     {withheld['files_waiting']} files"]


def _drives(drives: Iterable[dict[str, Any]]) -> list[str]:
    """The last ones, and what became of each."""
    lines = []
    for each in drives:
        number = f", the car's {each['number']}" if each["number"] is not None else ""
        lines.append(f"drive     {each['drive']}{number}, of {_when(each['began'])}")
        for part in each["files"]:
            lines.append(f"          {part['count']} files {part['outcome']}: {part['why']}")
        if not each["files"]:
            lines.append("          no file came into being")
    return lines


def _spool(spool: dict[str, Any]) -> list[str]:
    size, quota = spool["bytes"] / 1e6, spool["quota"] / 1e6
    oldest = f"; the oldest of {_when(spool['oldest'])}" if spool.get("oldest") else ""
    lines = [f"spool     {spool['capsules']} capsules, {size:.1f} of {quota:.0f} MB{oldest}"]
    for each in spool.get("refused", ()):
        lines.append(f"refused   {each['capsule'][:16]}...: {each['message']}")
        lines += [f"          {each['hint']}"] if each["hint"] else []
    for each in spool.get("unsent", ()):
        lines.append(f"UNSENT    {each['capsule'][:16]}... is gone: {each['reason']}")
    receipt = spool.get("last_receipt")
    when = _when(receipt["time"]) if receipt else "never"
    return [*lines, f"receipt   {spool.get('sent', 0)} capsules; the last: {when}"]


def _worker(said: dict[str, Any]) -> list[str]:
    doing = f"; at it: {said['doing']}" if said.get("doing") else ""
    lines = [f"worked    {_when(said.get('time'))}{doing}"]
    for _, message, hint in said.get("errors", ()):
        lines.append(f"error     {message}")
        lines += [f"          {hint}"] if hint else []
    return lines
