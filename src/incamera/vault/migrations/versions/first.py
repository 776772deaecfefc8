# SPDX-License-Identifier: Apache-2.0
"""The tables of a vault: see ``incamera.vault.index``."""

from __future__ import annotations

from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "revision", "upgrade"]

revision = "1"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

_FACTS = """
    owner text COLLATE "C" NOT NULL, vehicle text NOT NULL, hour text COLLATE "C" NOT NULL,
    duration integer NOT NULL, expires bigint NOT NULL, bytes bigint NOT NULL,
    cameras jsonb NOT NULL, tags jsonb NOT NULL, purposes jsonb NOT NULL"""

_STEPS = (
    "CREATE TABLE marks (name text PRIMARY KEY, value bigint NOT NULL)",
    "INSERT INTO marks VALUES ('read', 0)",
    "CREATE TABLE owners (key bytea PRIMARY KEY, name text NOT NULL)",
    # Rows come and go with each admission: what they leave is to be cleared often.
    f"""CREATE TABLE begun (
    digest bytea PRIMARY KEY, capsule_id bytea UNIQUE, entry bytea, batch bigint NOT NULL,
    began bigint NOT NULL, {_FACTS})
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)""",
    f"""CREATE TABLE capsules (
    digest bytea PRIMARY KEY, capsule_id bytea, status text NOT NULL, at bigint, {_FACTS})""",
    "CREATE INDEX capsules_hour ON capsules (hour, digest)",
    "CREATE INDEX capsules_owner ON capsules (owner, hour, digest)",
    "CREATE INDEX capsules_id ON capsules (capsule_id) WHERE capsule_id IS NOT NULL",
    "CREATE INDEX capsules_odd ON capsules (hour, digest) WHERE status <> 'kept'",
    "CREATE INDEX capsules_expires ON capsules (expires, digest) WHERE expires > 0",
)


def upgrade() -> None:
    """Make the tables."""
    for step in _STEPS:
        op.execute(step)
