# SPDX-License-Identifier: Apache-2.0
"""The steps that bring a PostgreSQL catalogue to what this program needs, by Alembic.

Each is one file in ``versions``, never changed once it was released. They are applied when a
vault opens, under a lock of the database, so that any number of vaults may start at once.
"""
