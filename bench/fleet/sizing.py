# SPDX-License-Identifier: Apache-2.0
"""How many of what for how many cars: the table of docs/operating/outgrowing.md, from costs.

``python -m bench.fleet.sizing --vault-ms 1.8 ...`` prints it for other costs than those measured.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

__all__ = ["FLEETS", "Costs", "table"]

FLEETS = (10_000, 200_000, 1_000_000, 10_000_000)
"""Cars."""


@dataclass(frozen=True)
class Costs:
    """What one capsule costs. CPU as `make bench-fleet` prints it, at 64 and more in a batch."""

    vault_ms: float = 1.8
    log_ms: float = 0.06
    log_batch_ms: float = 15.0  # of each batch: decided, written, signed, submitted, published
    witness_batch_ms: float = 3.0
    database_ms: float = 0.15
    follow_ms: float = 0.075  # to read one entry of the log: each vault and trustee, every entry
    row_bytes: float = 650.0  # of the catalogue, with its indexes
    log_bytes: float = 500.0  # of the log, with its tiles
    blob_bytes: float = 73_728.0  # 64 KiB of clip, its header and keys, in whole blocks
    a_day: float = 20.0  # capsules a car
    peak: float = 10.0  # times the mean
    use: float = 0.7  # of a core, at the peak
    days: float = 30.0  # until a capsule expires
    looks: float = 48.0  # of a car at its log, a day; at one of 16 it reads bundles whole
    extract_ms: float = 1.5
    extract_bytes: float = 2_000.0
    bundles_bytes: float = 300_000.0
    batches: float = 15.0  # of the log, a second: when it is busy they grow, not their number


@dataclass(frozen=True)
class Size:
    """One column."""

    cars: int
    logs: int
    vaults: int  # processes, of all logs
    cells: tuple[tuple[str, str], ...]


def size(cars: int, costs: Costs) -> Size:
    """What so many cars need at the peak."""
    mean = cars * costs.a_day / 86_400
    peak = mean * costs.peak
    # Each vault process reads every entry of its log, so a log carries at most `use / follow`.
    # Two thirds of its time are to be left for capsules.
    most = costs.use / 3 / (costs.follow_ms / 1000)
    logs = max(1, math.ceil(peak / most))
    share = peak / logs
    own = costs.use - share * costs.follow_ms / 1000
    vaults = logs * max(1, math.ceil(share * costs.vault_ms / 1000 / own))
    held = cars * costs.a_day * costs.days
    writer = _batched(share, costs.log_batch_ms, costs.log_ms, costs)
    witness = _batched(share, costs.witness_batch_ms, 0.0, costs)
    read = costs.extract_bytes + costs.bundles_bytes / 16
    cells = (
        ("capsules a second, mean", _number(mean)),
        ("at the peak", _number(peak)),
        ("logs (each with its witnesses)", str(logs)),
        ("vault processes, a core each", str(vaults)),
        (
            "cores of a log's writer",
            _number(writer),
        ),
        ("cores of a log's PostgreSQL", _number(share * costs.database_ms / 1000)),
        ("cores of a witness", _number(witness)),
        ("cores of a trustee, following", _number(share * costs.follow_ms / 1000)),
        ("capsules kept", _bytes(held, "")),
        ("blobs kept", _bytes(held * costs.blob_bytes)),
        ("catalogue", _bytes(held * costs.row_bytes)),
        ("log, a year", _bytes(cars * costs.a_day * 365 * costs.log_bytes)),
        ("into the vaults at the peak", _bytes(peak * costs.blob_bytes * 8, "bit/s")),
        (
            "extracts for cars, cores",
            _number(cars * costs.looks / 86_400 * costs.extract_ms / 1000),
        ),
        ("read by all cars", _bytes(cars * costs.looks / 86_400 * read * 8, "bit/s")),
    )
    return Size(cars, logs, vaults, cells)


def _batched(rate: float, batch_ms: float, each_ms: float, costs: Costs) -> float:
    """Cores for ``rate`` entries a second, some of the cost being a batch's."""
    return (min(rate, costs.batches) * batch_ms + rate * each_ms) / 1000


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else f"{value:.2f}"


def _bytes(value: float, unit: str = "B") -> str:
    power = min(5, max(0, int(math.log10(max(1.0, value)) // 3)))
    shown = value / 1000**power
    text = f"{shown:.0f}" if shown >= 10 else f"{shown:.1f}"
    return f"{text} {('', 'k', 'M', 'G', 'T', 'P')[power]}{unit}"


def table(costs: Costs, fleets: Sequence[int] = FLEETS) -> str:
    """As Markdown."""
    sizes = [size(cars, costs) for cars in fleets]
    head = " | ".join(f"{each.cars:,} cars" for each in sizes)
    lines = [f"| | {head} |", "|---|" + "---|" * len(sizes)]
    for at, (name, _) in enumerate(sizes[0].cells):
        lines.append(f"| {name} | {' | '.join(each.cells[at][1] for each in sizes)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for each in fields(Costs):
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=float, default=each.default)
    given = vars(parser.parse_args())
    print(table(Costs(**given)))


if __name__ == "__main__":
    main()
