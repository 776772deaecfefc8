# SPDX-License-Identifier: Apache-2.0
"""What may not be seen: forbidden zones, and which seconds of a recording stay clear of them.

>>> from incamera.geofence import GeofencePolicy, Zones, keep
>>> zones = Zones.load(path)                            # doctest: +SKIP
>>> zones.near([48.2], [11.6], 250.0)                   # doctest: +SKIP
array([False])
>>> decision = keep(spans, recording, zones, GeofencePolicy())  # doctest: +SKIP
>>> decision.kept, decision.dropped                     # doctest: +SKIP

>>> len(Zones.empty())
0
"""

from incamera.geofence.decide import Decision, Dropped, keep
from incamera.geofence.policy import GeofencePolicy
from incamera.geofence.trips import Course, trips_of
from incamera.geofence.zones import Zones

__all__ = ["Course", "Decision", "Dropped", "GeofencePolicy", "Zones", "keep", "trips_of"]
