# SPDX-License-Identifier: Apache-2.0
r"""Which seconds of a recording are worth keeping.

>>> from incamera.trigger import Campaign, default_campaign
>>> sorted(default_campaign().rules)
['hard-brake', 'honk', 'saved', 'swerve', 'take-over']
>>> lines = ["version = 1", 'name = "winter"', "[hard-brake]", "deceleration = 3.5"]
>>> Campaign.parse("\n".join(lines).encode()).rules["hard-brake"].after
5.0

``find_spans(recording, campaign)`` then gives the spans, by time and disjoint, with their tags.
"""

from __future__ import annotations

from incamera.trigger.campaign import Campaign, default_campaign
from incamera.trigger.model import Span
from incamera.trigger.spans import find_spans

__all__ = ["Campaign", "Span", "default_campaign", "find_spans"]
