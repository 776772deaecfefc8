# SPDX-License-Identifier: Apache-2.0
"""The reader's workflow: k granted shares and a capsule make a clip, clips make a dataset.

::

    from incamera.release import Reader, Source, release

    done = release(request, answers, capsules, reader=reader, source=source, dest=folder)
    print(done.entry)  # where in the public log this dataset stands
"""

from __future__ import annotations

from incamera.release.dataset import Reader, Released, release
from incamera.release.source import Fetched, Source

__all__ = ["Fetched", "Reader", "Released", "Source", "release"]
