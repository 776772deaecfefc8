# SPDX-License-Identifier: Apache-2.0
"""The car's agent: watches a recording folder, and sends what may be sent while the car rests."""

from __future__ import annotations

__all__: list[str] = []
