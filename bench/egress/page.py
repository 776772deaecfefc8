# SPDX-License-Identifier: Apache-2.0
"""What was seen, as a page that a regulator can read: who spoke to whom, and was it declared."""

from __future__ import annotations

import datetime
import html as escape
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from bench.egress.tally import of_link
from incamera.wire.egress import Place, allowed

__all__ = ["STATES", "Result", "Seen", "html", "markdown"]

_ASKED = 3600.0  # seconds of each state, GB/T 44464 D.8
STATES = ("off", "on", "busy")


@dataclass(frozen=True, slots=True)
class Seen:
    """Conversations that one machine began with one address and port in one phase."""

    phase: str
    machine: str
    whom: str  # the machine at that address, or empty
    protocol: str
    address: str
    port: int
    conversations: int
    sent: int  # bytes
    received: int
    verdict: str  # declared, link or FOREIGN


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    made: str
    packets: int
    dropped: int
    seen: tuple[Seen, ...]
    places: tuple[Place, ...]
    machines: Mapping[str, str]  # address -> name
    lasted: Mapping[str, float]  # seconds of each phase
    done: Mapping[str, int]  # acts, by name
    planted: Mapping[str, bool] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        told: Mapping[str, Any],
        places: Sequence[Place],
        machines: Mapping[str, str],
        lasted: Mapping[str, float],
        done: Mapping[str, int],
        planted: Mapping[str, bool],
    ) -> Result:
        """``told``: what the capture counted."""
        seen = []
        for phase, machine, protocol, address, port, count, sent, received in told["rows"]:
            link = of_link(protocol, address)
            inside = not link and allowed(places, address, port)
            verdict = "link" if link else "declared" if inside else "FOREIGN"
            whom = machines.get(address, "")
            facts = (phase, machine, whom, protocol, address, port, count, sent, received)
            seen.append(Seen(*facts, verdict))
        return cls(
            made=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
            packets=told["packets"],
            dropped=told["dropped"],
            seen=tuple(seen),
            places=tuple(sorted(places)),
            machines=machines,
            lasted=lasted,
            done=done,
            planted=planted,
        )

    @property
    def foreign(self) -> list[Seen]:
        """What nobody declared."""
        return [each for each in self.seen if each.verdict == "FOREIGN"]

    def to_json(self) -> dict[str, Any]:
        """The last line."""
        by_phase = Counter(each.phase for each in self.foreign)
        return {
            "bench": "egress",
            "seconds": {name: self.lasted[name] for name in STATES if name in self.lasted},
            "machines": len(self.machines),
            "packets": self.packets,
            "dropped": self.dropped,
            "destinations": len({(e.address, e.port) for e in self.seen if e.verdict != "link"}),
            "declared": len(self.places),
            "dns": sum(each.port == 53 for each in self.seen),
            "acts": dict(sorted(self.done.items())),
            "by_phase": {phase: by_phase[phase] for phase in self.lasted},
            "foreign_to": sorted({f"{e.machine} to {e.address}:{e.port}" for e in self.foreign}),
            **({"planted": dict(self.planted)} if self.planted else {}),
            "foreign": len(self.foreign),
        }


def _verdict(result: Result) -> str:
    if result.dropped:
        return f"{result.dropped} frames came too fast to be seen: this run proves nothing."
    if result.foreign:
        whom = ", ".join(f"{e.machine} to {e.address} port {e.port}" for e in result.foreign)
        return f"Conversations with addresses that the log does not declare: {whom}."
    return "Nobody began a conversation with an address that the log does not declare."


def _lines(result: Result) -> list[str]:
    short = [f"{name} {result.lasted[name]:.0f} s" for name in STATES if name in result.lasted]
    enough = all(result.lasted[name] >= _ASKED for name in STATES if name in result.lasted)
    asked = "as" if enough else "shorter than"
    dns = sum(each.port == 53 for each in result.seen)
    sent = f"every frame that a machine sent was looked at: {result.packets:,} packets"
    acts = ", ".join(f"{what} {count}" for what, count in sorted(result.done.items()))
    lines = [
        f"{len(result.machines)} machines, each with one wire; {sent}, {result.dropped} missed.",
        f"States: {', '.join(short)}; {asked} the hour each that GB/T 44464 D.8 asks for.",
        "Whoever sends the first packet begins a conversation; sent and received are bytes of IP.",
        f"Names looked up (DNS): {dns}. Every address was declared as a number.",
        f"Done: {acts}.",
    ]
    if result.planted:
        how = "refused it, unsent" if result.planted["refused"] else "DID NOT REFUSE"
        lines.append(f"Planted: a trustee was told of a log at a foreign address, and {how}.")
    return lines


_Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""Title, columns, rows."""


def _tables(result: Result) -> list[_Table]:
    places: list[tuple[str, ...]] = [(p.party, str(p.network), str(p.port)) for p in result.places]
    tables: list[_Table] = [("What the log declares", ("party", "network", "port"), places)]
    columns = ("who", "to whom", "address", "port", "conversations", "sent", "received", "verdict")
    for phase in result.lasted:
        rows = [each for each in result.seen if each.phase == phase and each.verdict != "link"]
        rows.sort(key=lambda each: (each.verdict != "FOREIGN", each.machine, each.whom))
        cells: list[tuple[str, ...]] = [
            (
                *(each.machine, each.whom or "?", each.address, f"{each.port}/{each.protocol}"),
                *(f"{each.conversations:,}", f"{each.sent:,}", f"{each.received:,}", each.verdict),
            )
            for each in rows
        ]
        tables.append((f"Phase: {phase}", columns, cells))
    return tables


def markdown(result: Result) -> str:
    """The page as Markdown."""
    out = ["# Who spoke to whom", "", f"**{_verdict(result)}**", ""]
    out += [f"- {each}" for each in (f"Made {result.made}.", *_lines(result))]
    for title, columns, rows in _tables(result):
        out += ["", f"## {title}", ""]
        if not rows:
            out.append("Nothing was sent.")
            continue
        out += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        out += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*out, ""])


def html(result: Result) -> str:
    """The page as HTML: no script, nothing fetched."""
    style = resources.files("incamera.audit.transparency").joinpath("page.css").read_text("utf-8")
    alarm = " class=alarm" if result.foreign or result.dropped else ""
    body = ["<h1>Who spoke to whom</h1>", f"<p{alarm}><b>{_text(_verdict(result))}</b></p>"]
    lines = (f"Made {result.made}.", *_lines(result))
    body.append("<ul>" + "".join(f"<li>{_text(each)}</li>" for each in lines) + "</ul>")
    for title, columns, rows in _tables(result):
        body.append(f"<h2>{_text(title)}</h2>")
        head = "".join(f"<th scope=col>{_text(each)}</th>" for each in columns)
        cells = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>"
        nothing = "<p class=none>Nothing was sent.</p>"
        body.append(f"<div class=wide>{table}</div>" if rows else nothing)
    return (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
        '<meta name=viewport content="width=device-width">\n<title>Who spoke to whom</title>\n'
        f"<style>\n{style}</style>\n<main>\n{chr(10).join(body)}\n</main>\n</html>\n"
    )


def _text(value: str) -> str:
    return escape.escape(value)


def _cell(value: str) -> str:
    number = value.replace(",", "").isdigit()
    return f"<td{' class=n' if number else ''}>{_text(value)}</td>"
