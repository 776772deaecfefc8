# SPDX-License-Identifier: Apache-2.0
"""The region that the fleet drives against: real processes, and the engines that were asked for."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import engines
from bench.fleet.capsules import Maker
from bench.fleet.crowd import Crowd, enrolments, gather
from bench.fleet.disks import alone
from bench.fleet.ground import Ground, Plan
from incamera.sealing.keys import SigningKey
from incamera.service.auth import Token
from incamera.service.logclient import LogClient
from serving import Party, Region

__all__ = ["Plan", "Ready", "ready"]


@dataclass
class Ready:
    """A region with its fleet enrolled and its processes running."""

    plan: Plan
    region: Ground
    crowd: Crowd
    maker: Maker
    engines: dict[str, engines.Engine]
    vaults: list[Party]

    @property
    def urls(self) -> list[str]:
        """Where capsules go."""
        return [each.url for each in self.vaults]

    def pids(self) -> dict[str, int]:
        """Every process by name."""
        found = {
            name: each.process.pid
            for name, each in self.region.parties.items()
            if each.process is not None
        }
        for name, engine in self.engines.items():
            if engine.process is not None:
                found[name] = engine.process.pid
        return found


@contextlib.contextmanager
def ready(folder: Path, plan: Plan) -> Iterator[Ready]:
    """Found it, enrol the fleet, run everything."""
    with contextlib.ExitStack() as stack:
        running: dict[str, engines.Engine] = {}
        if plan.postgres or plan.standby:
            running["postgres"] = stack.enter_context(engines.postgres())
        if plan.nats:
            running["nats"] = stack.enter_context(engines.nats())
        if plan.s3:
            running["s3"] = stack.enter_context(engines.s3())
        region = Ground(folder, plan, running)
        stack.callback(region.stop)
        if plan.faults:
            region.bad_disks(full=alone())
            for engine in running.values():  # again, on the slow disk
                engine.restart()
        vaults = [party for party in region.parties.values() if party.kind == "vault"]
        begin = ("log", "witness")
        region.start([name for name in region.parties if name.startswith(begin)])
        began = time.perf_counter()
        crowd = gather(plan.cars, plan.owners)
        enrol(region, crowd)
        print(f"{plan.cars} cars enrolled in {time.perf_counter() - began:.1f} s", flush=True)
        maker = Maker(region, plan.bodies, crowd.owners[0].public, plan.size)
        names = [name for name in region.parties if name.startswith("vault")]
        region.start([*names, *(region.names if plan.trustees else ())])
        for vault in vaults:
            wait_ready(vault.url)
        yield Ready(plan, region, crowd, maker, running, vaults)


def wait_ready(url: str, seconds: float = 60.0) -> None:
    """Until the vault says that it is, as a balancer waits before it sends anybody there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{url} does not get ready")


def enrol(region: Region, crowd: Crowd) -> None:
    """Into the log, in bulk."""
    token = Token.load(region.folder / "token")
    urls = [party.url for party in region.parties.values() if party.kind == "log"]
    log = LogClient(urls, token, region.policy)
    for batch in enrolments(crowd, SigningKey.load(region.home.operator)):
        log.append(batch)
    log.close()
