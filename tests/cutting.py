# SPDX-License-Identifier: Apache-2.0
"""Eight machines, and what still works when some are cut off: run by ``test_cut_off.py``.

To be run in namespaces of its own: ``unshare --net --mount python tests/cutting.py FOLDER``. Prints
one line of JSON for each scene, and the audit's verdict at the end.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import warm
from incamera.errors import Error
from incamera.ledger.grant import Grant
from incamera.ledger.state import leaf_digest
from incamera.sealing.capsule import Capsule, read_capsule
from serving import WITNESSES, Reader, Region
from wires import Wires

TRUSTEES = ("trustee-de", "trustee-fr", "trustee-nl")
PORT = 8100


def tell(told: dict[str, object]) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


class Lab:
    """A region on eight machines, one capsule, one reader."""

    def __init__(self, folder: Path) -> None:
        self.names = ("log", "vault", *WITNESSES, *TRUSTEES)
        self.wires = Wires(self.names)
        places = {name: f"{at}:{PORT}" for name, at in self.wires.addresses.items()}
        self.region = Region(folder, addresses=places)
        for name, party in self.region.parties.items():
            party.machine = self.wires.machine(name)
        self.region.start()
        self.reader: Reader = self.region.enrol()
        path = self.region.seal(b"what the camera saw")
        self.region.upload(path)
        self.capsule: Capsule = read_capsule(path)
        #: Entries that somebody was told are in the log.
        self.acknowledged: list[bytes] = []

    def journey(self) -> dict[str, object]:
        """A request, the grants of whoever answers, the opening."""
        begin = time.monotonic()
        leaf = self.region.leaf(self.reader, [self.capsule])
        index = self.region.submit(leaf)
        self.acknowledged.append(leaf)
        logged = time.monotonic() - begin
        grants, silent = self.grants(leaf, index)
        if len(grants) < 2:
            return {"logged": round(logged, 2), "opened": False, "silent": silent}
        clip = self.region.open(self.reader, self.capsule, leaf, grants)
        opened = clip == b"what the camera saw"
        took = {"logged": round(logged, 2), "all": round(time.monotonic() - begin, 2)}
        return {**took, "opened": opened, "silent": silent}

    def grants(self, leaf: bytes, index: int) -> tuple[list[Grant], list[str]]:
        """What the trustees that answer hand out, and who does not."""
        grants, silent = [], []
        shown = {n: self.region.shown(n, leaf, index, [self.capsule]) for n in TRUSTEES}
        for name in TRUSTEES:
            client = self.region.client(name, seconds=10.0, attempts=1)
            try:
                answer = client.send("POST", "decide", shown[name], limit=1 << 20)
            except Error:
                silent.append(name)
                continue
            key = self.region.state().party("trustee", name)
            assert key is not None
            grants.append(Grant.open(answer.body, key.key, leaf_digest(leaf)))
        return grants, silent

    def scene(self, what: str, *cut: str) -> None:
        """One scene: cut, try, join again; a line of JSON."""
        told: dict[str, object] = {"scene": what, "cut": list(cut)}
        with self.wires.cut(*cut):
            try:
                told |= self.journey()
            except Error as error:
                told |= {"opened": False, "error": error.kind, "message": error.message}
        tell(told)

    def recovers(self, what: str, seconds: float = 60.0) -> None:
        """Try until it works again, for so long at most."""
        begin = time.monotonic()
        while True:
            try:
                told = self.journey()
            except Error as error:
                told = {"opened": False, "error": error.kind}
            if told["opened"] or time.monotonic() - begin > seconds:
                break
            time.sleep(0.5)
        took = round(time.monotonic() - begin, 1)
        tell({"scene": what, "cut": [], "after": took, **told})

    def lost(self) -> int:
        """Acknowledged requests that the log does not have."""
        state = self.region.state()
        return sum(state.request(leaf_digest(leaf)) is None for leaf in self.acknowledged)


def run(folder: Path, scenes: Sequence[str]) -> None:
    """All scenes, then what was lost."""
    lab = Lab(folder)
    try:
        lab.scene("all are there")
        for name in (*WITNESSES, *TRUSTEES):
            if name in scenes or not scenes:
                lab.scene("one is cut off", name)
        lab.scene("a witness and a trustee are cut off", WITNESSES[0], TRUSTEES[0])
        lab.scene("one trustee and k-1 more are cut off", TRUSTEES[0], TRUSTEES[1])
        lab.recovers("the trustees are back")
        lab.scene("two witnesses are cut off", WITNESSES[0], WITNESSES[1])
        lab.recovers("the witnesses are back")
        lab.scene("the vault is cut off", "vault")
        lab.recovers("the vault is back")
        lab.scene("the log is cut off", "log")
        lab.recovers("the log is back")
        tell({"scene": "end", "acknowledged": len(lab.acknowledged), "lost": lab.lost()})
    finally:
        lab.region.stop()
        lab.wires.close()


if __name__ == "__main__":
    warm.begin()
    run(Path(sys.argv[1]), sys.argv[2:])
