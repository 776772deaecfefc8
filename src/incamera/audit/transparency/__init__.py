# SPDX-License-Identifier: Apache-2.0
"""The transparency report: who asked to read, what came of it, who demanded, what was erased.

Made from public data alone, so that anybody can make the operator's own report again and compare:

>>> from incamera.audit.transparency import gather, markdown
>>> from incamera.ledger.state import State
>>> from incamera.tlog.policy import Policy
>>> policy = Policy.parse("quorum none")
>>> print(markdown(gather(State(), policy, (), now=1_800_000_000)).splitlines()[0])
# Transparency report: no region
"""

from __future__ import annotations

from incamera.audit.transparency.gather import gather
from incamera.audit.transparency.markdown import markdown
from incamera.audit.transparency.model import Transparency
from incamera.audit.transparency.page import page

__all__ = ["Transparency", "gather", "markdown", "page"]
