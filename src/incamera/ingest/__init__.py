# SPDX-License-Identifier: Apache-2.0
"""The car's side: what is worth keeping and may be kept, redacted, sealed, and sent.

Given a home (keys, trustees, rules) and a vault's ``admit``::

    plan = Plan(zones=Zones.load(path))          # or Zones.empty(), on purpose
    summary = ingest(Path("TeslaCam"), home, plan, admit=vault.admit)
    summary.admitted, summary.dropped_s, summary.boxes
    if (error := summary.error()) is not None:   # what was left out; everything else went on
        raise error

It can be stopped at any moment and run again: each clip becomes one capsule in the end.
"""

from incamera.ingest.home import Admit, CarHome
from incamera.ingest.pipeline import Plan, Progress, ingest, ingest_recordings
from incamera.ingest.summary import Summary

__all__ = ["Admit", "CarHome", "Plan", "Progress", "Summary", "ingest", "ingest_recordings"]
