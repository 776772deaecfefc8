# SPDX-License-Identifier: Apache-2.0
"""What Alembic runs: the steps that are missing, on the connection it is given."""

from __future__ import annotations

from alembic import context

__all__: list[str] = []

context.configure(
    connection=context.config.attributes["connection"], version_table="incamera_version"
)
with context.begin_transaction():
    context.run_migrations()
