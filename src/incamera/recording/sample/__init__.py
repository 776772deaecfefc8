# SPDX-License-Identifier: Apache-2.0
"""A drive that never was: eight cameras, telemetry, faces, plates, and the truth about them.

>>> from incamera.recording.sample import make_sample
>>> truth = make_sample(dest)                                   # doctest: +SKIP
>>> truth.source, truth.zones                                   # doctest: +SKIP
(PosixPath('drive/TeslaCam'), PosixPath('drive/zones.geojson'))

Everything is drawn here, but for one face: NASA's portrait of Eileen Collins (``face.txt``).
"""

from __future__ import annotations

from incamera.recording.sample.make import Truth, make_sample

__all__ = ["Truth", "make_sample"]
