# SPDX-License-Identifier: Apache-2.0
"""A served trustee, put back on its feet before an old copy of the log: its witnesses know more."""

from __future__ import annotations

import shutil
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from incamera.errors import UnavailableError
from incamera.ids import Name
from incamera.ledger.codec import encode
from incamera.ledger.entries import ErasureEntry
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import SigningKey
from serving import CLOCK, region
from world import quick_folder


def test_an_old_copy_of_the_log_opens_nothing_that_was_erased_since() -> None:
    """The trustee lost all it remembered; the log's place is taken by yesterday's files.

    Everything in that copy is signed, cosigned and fresh. Two witnesses of three suffice to tell
    that there is more, one does not, and then nothing is decided either.
    """
    with quick_folder() as folder, region(folder) as made:
        reader, capsule = made.enrol(), read_capsule(made.seal())
        made.upload(capsule.path)
        leaf = made.leaf(reader, [capsule])
        name = made.names[0]
        asked = made.shown(name, leaf, made.submit(leaf), [capsule])
        shutil.copytree(made.home.public, folder / "old")
        entry = ErasureEntry(
            region=capsule.header.region,
            time=CLOCK.now(),
            capsules=(capsule.digest,),
            by="operator",
            name="",
            reason="a court said so",
        )
        made.submit(encode(entry, SigningKey.load(made.home.operator)))
        for party in ("log", name):
            made.parties[party].kill()
        for path in made.home.trustee(name).glob("*.db*"):
            path.unlink()
        port = str(urlsplit(made.urls["log"]).port)
        where = ["--bind", "127.0.0.1", "--directory", str(folder / "old")]
        copy = subprocess.Popen(
            [sys.executable, "-m", "http.server", port, *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            made.start([name])
            for down, told in (
                ([], "has seen"),
                (["witness-1"], "has seen"),
                (["witness-2"], "1 of 3 witnesses"),
            ):
                for each in down:
                    made.parties[each].kill()
                assert told in refused(made.client(Name(name), attempts=1, seconds=60), asked)
        finally:
            copy.kill()
            copy.wait()


def refused(client: object, asked: bytes) -> str:
    """Why a trustee answers 503."""
    with pytest.raises(UnavailableError) as caught:
        client.send("POST", "decide", asked, limit=1 << 20)  # type: ignore[attr-defined]
    return caught.value.message
