# SPDX-License-Identifier: Apache-2.0
"""Where a decision's CPU time goes, step by step of a batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from incamera.trustee.batch import Batch
from incamera.trustee.checks import Checks

STEPS = {
    "parse": "parse the leaf",
    "_follow": "follow the log (requests, others' grants)",
    "_witness": "checkpoints shown: quorum, fresh, our log",
    "request": "enrolment, inclusion, expiry, notice",
    "headers": "headers: car's signature, our share, policy's text",
    "permitted": "Cedar, erasures, expiry",
    "_quota_alone": "what was granted before; quota",
    "_unseal": "open our share (HPKE), commitment",
    "_reseal": "seal it to the recipient (HPKE)",
    "_count": "quota within the batch; sign the grant entry",
    "_intend": "commit the intents",
    "_publish": "append (the log's time apart), read it back",
    "_remember": "commit where it was seen",
    "_answer": "look again; sign the grant",
}


class Steps:
    """CPU seconds of each step since :meth:`watch`."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STEPS, 0.0)

    def watch(self) -> None:
        """Put a clock round each step."""
        for name in STEPS:
            owner = Batch if hasattr(Batch, name) else Checks
            setattr(owner, name, self._timed(name, getattr(owner, name)))

    def _timed(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            begin = time.thread_time()
            try:
                return step(*given)
            finally:
                self.spent[name] += time.thread_time() - begin

        return timed

    def table(self, count: int, log: float) -> str:
        """Microseconds a decision, after ``count`` of them of which ``log`` s were the log's."""
        spent = self.spent | {"_publish": self.spent["_publish"] - log}
        return "\n".join(f"    {spent[n] / count * 1e6:7.0f} us  {STEPS[n]}" for n in STEPS)
