# SPDX-License-Identifier: Apache-2.0
"""The car's agent: watches a recording folder, and sends what may be sent while the car rests.

What is recorded is bound, as it comes into being, to the drive under way and to the consent that
holds then; nothing else is ever looked at. The agent holds a :class:`Link` to its region and a
:class:`WorkerProcess`, both given to it::

    agent = Agent(settings, SystemClock(), WorkerProcess(command, settings.budget))
    while True:
        agent.look()                      # every second or so

    Worker(settings, link, key, clock).run()   # in that process: read the log, ingest, send
"""

from __future__ import annotations

from incamera.car.agent import Agent
from incamera.car.link import Link
from incamera.car.process import WorkerProcess
from incamera.car.settings import CarSettings
from incamera.car.withheld import WithheldError
from incamera.car.work import Worker

__all__ = ["Agent", "CarSettings", "Link", "WithheldError", "Worker", "WorkerProcess"]
