# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608 - built of constants; values go as parameters
"""What the PostgreSQL catalogue is asked. Constants, but for the conditions of a page."""

from __future__ import annotations

from typing import Any

from incamera.vault.index import COLUMNS, Wanted, parse_cursor

__all__ = [
    "ACCOUNT",
    "BEGIN",
    "BEGUN",
    "ERASE",
    "KEEP",
    "LOSE",
    "READ",
    "ROW",
    "STORE",
    "THERE",
    "UNMAKE",
    "page",
]

_FACTS = "owner, vehicle, hour, duration, expires, bytes, cameras, tags, purposes"
_NO_FACTS = "'', '', '', 0, 0, 0, '[]', '[]', '[]'"
_EMPTIED = f"({_FACTS}) = ROW ({_NO_FACTS})"

# Losing this commit in a crash of the database loses nothing: the log says it all again.
ACCOUNT = """
BEGIN;
SET LOCAL synchronous_commit TO off;
"""
READ = "SELECT value FROM marks WHERE name = 'read' FOR UPDATE"

BEGIN = f"""
INSERT INTO begun (batch, began, digest, capsule_id, entry, {_FACTS})
SELECT $1::bigint, $2::bigint, d, i, e, o, v, h, s, x, b, c::jsonb, t::jsonb, p::jsonb
FROM unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], $8::text[],
    $9::integer[], $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::text[])
    AS given (d, i, e, o, v, h, s, x, b, c, t, p)
ON CONFLICT DO NOTHING RETURNING digest
"""

THERE = """
SELECT digest, capsule_id FROM capsules WHERE digest = ANY($1)
UNION ALL SELECT digest, capsule_id FROM capsules WHERE capsule_id = ANY($2)
"""

BEGUN = """
SELECT digest, capsule_id FROM begun WHERE digest = ANY($1)
UNION ALL SELECT digest, capsule_id FROM begun WHERE capsule_id = ANY($2)
"""

KEEP = f"""
WITH moved AS (
    DELETE FROM begun USING unnest($1::bytea[], $2::bigint[]) AS said (digest, at)
    WHERE begun.digest = said.digest AND begun.entry IS NOT NULL RETURNING begun.*, said.at)
INSERT INTO capsules (digest, capsule_id, status, at, {_FACTS})
SELECT digest, capsule_id, 'kept', at, {_FACTS} FROM moved
ON CONFLICT (digest) DO NOTHING RETURNING digest
"""

STORE = f"""
INSERT INTO capsules (digest, capsule_id, status, at, {_FACTS})
VALUES ($1, $2, 'kept', $3, $4, $5, $6, $7, $8, $9, $10::text::jsonb, $11::text::jsonb,
    $12::text::jsonb)
ON CONFLICT (digest) DO NOTHING
"""

LOSE = f"""
INSERT INTO capsules (digest, status, at, {_FACTS}) VALUES ($1, 'lost', $2, {_NO_FACTS})
ON CONFLICT (digest) DO UPDATE SET status = 'lost' WHERE capsules.status <> 'erased'
"""

ERASE = f"""
INSERT INTO capsules (digest, status, at, {_FACTS}) VALUES ($1, 'erased', $2, {_NO_FACTS})
ON CONFLICT (digest) DO UPDATE SET status = 'erased', capsule_id = NULL, {_EMPTIED}
"""

UNMAKE = f"UPDATE begun SET entry = NULL, capsule_id = NULL, {_EMPTIED} WHERE digest = $1"

#: What is begun is ``pending`` until the log shows it.
_PENDING = f"SELECT digest, 'pending' AS status, NULL::bigint AS at, {_FACTS} FROM begun"

ROW = f"""
SELECT {COLUMNS} FROM capsules WHERE digest = $1
UNION ALL SELECT {COLUMNS} FROM ({_PENDING} WHERE digest = $1 AND entry IS NOT NULL) AS pending
LIMIT 1
"""


def page(wanted: Wanted, count: int, after: str, skip: int) -> tuple[str, list[Any]]:
    """A page of rows, and its values: at most ``skip + count`` of either table are looked at."""
    values: list[Any] = [skip + count]
    parts = ["TRUE"]

    def value(given: object) -> str:
        values.append(given)
        return f"${len(values)}"

    if wanted.status is not None:
        # One of four words, and a word in the text is what tells the planner its index.
        parts.append(f"status = '{wanted.status}'")
        if wanted.status != "kept":
            parts.append("status <> 'kept'")
    parts += [f"{condition} {value(given)}" for condition, given in wanted.bounds]
    parts += [f"{column} ? {value(given)}" for column, given in wanted.having]
    if after:
        hour, digest = parse_cursor(after)
        parts.append(f"(hour, digest) > ({value(hour)}, {value(digest)})")
    where = " AND ".join(parts)
    each = f"WHERE {where} ORDER BY hour, digest LIMIT $1"
    return (
        f"(SELECT {COLUMNS} FROM capsules {each}) UNION ALL "
        f"(SELECT {COLUMNS} FROM ({_PENDING} WHERE entry IS NOT NULL) AS pending {each}) "
        f"ORDER BY hour, digest LIMIT {int(count)} OFFSET {int(skip)}"
    ), values
