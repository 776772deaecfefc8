# SPDX-License-Identifier: Apache-2.0
"""The Cedar policy a region starts with: what ``incamera init`` publishes and cars seal under.

Cedar refuses what no ``permit`` allows, and a ``forbid`` beats every ``permit``.
"""

from __future__ import annotations

from incamera.errors import InputError

__all__ = ["COUNTRIES", "KINDS", "default_policy"]

_EEA = (
    *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE"),
    *("IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"),
)

COUNTRIES: dict[str, tuple[str, ...]] = {
    "eu": _EEA,  # the 27, and IS, LI, NO where the GDPR holds too
    "cn": ("CN",),  # not HK, MO, TW: what goes there counts as an export under mainland law
    "us": ("US",),
    "ch": ("CH",),
    "uk": ("GB",),
    "jp": ("JP",),
    "kr": ("KR",),
    "ca": ("CA",),
    "au": ("AU",),
}
"""Region -> ISO 3166-1 alpha-2 codes of the countries whose readers may read there."""

KINDS = ("company", "journalist", "research")
"""Kinds of reader that may read; whatever is not listed may not."""

_TEXT = """\
// incamera: who may read a capsule of region {region}. Sealed into each capsule by digest.
// Cedar: what no permit allows is refused, and a forbid beats every permit.

permit (
  principal is Reader,
  action == Action::"read",
  resource is Capsule
) when {{
  {kinds}.contains(principal.kind) &&
  resource.purposes.contains(context.purpose) &&
  resource.region == "{region}" &&
  principal.region == "{region}"
}};

// No government reads, whatever else is permitted.
forbid (principal, action, resource) when {{ principal.kind == "government" }};

// Nobody from outside the region reads.
forbid (principal, action, resource) unless {{
  {countries}.contains(principal.country)
}};
"""


def default_policy(region: str) -> str:
    """The policy text for ``region``; :class:`InputError` where no country list is known."""
    countries = COUNTRIES.get(region)
    if countries is None:
        raise InputError(
            f"no default policy for region {region!r:.40}",
            hint=f"known are {', '.join(COUNTRIES)}; for another, write a policy file",
        )
    return _TEXT.format(region=region, kinds=_set(KINDS), countries=_set(countries))


def _set(items: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{each}"' for each in items) + "]"
