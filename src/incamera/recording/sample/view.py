# SPDX-License-Identifier: Apache-2.0
"""The eight cameras of the sample car, and what each one sees of a point.

The world has X to the right, Y up and Z along the street, in metres. A camera's own space has x
to the right, y down and z forward; a picture has its origin in the upper left corner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CAMERAS", "NEAR", "Camera", "Points", "Pose", "View"]

Points = NDArray[np.float64]

NEAR = 0.4  # m; nothing closer to the lens is drawn


@dataclass(frozen=True, slots=True)
class Camera:
    """Where a camera sits on the car (metres from the middle of the ground below it), and how."""

    name: str
    right: float
    up: float
    ahead: float
    yaw: float  # degrees clockwise from straight ahead
    pitch: float  # degrees down
    width: float  # degrees seen from left to right


# Six names are those of TeslaCam files. Its event.json knows two more cameras, wide and narrow
# beside the main one (community mapping 1 and 2): so eight, as the car has round it.
CAMERAS = (
    Camera("front", 0.0, 1.40, 0.6, 0.0, 1.5, 50.0),
    Camera("front_wide", 0.0, 1.40, 0.6, 0.0, 5.0, 104.0),
    Camera("front_narrow", 0.0, 1.40, 0.6, 0.0, 0.5, 28.0),
    Camera("back", 0.0, 0.95, -2.2, 180.0, 4.0, 84.0),
    Camera("left_pillar", -0.85, 1.30, 0.3, -52.0, 1.0, 74.0),
    Camera("right_pillar", 0.85, 1.30, 0.3, 52.0, 1.0, 74.0),
    Camera("left_repeater", -0.95, 0.95, 1.3, -148.0, 2.0, 74.0),
    Camera("right_repeater", 0.95, 0.95, 1.3, 148.0, 2.0, 74.0),
)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the car is: metres to the right of the street's middle and along it; degrees."""

    x: float
    z: float
    heading: float = 0.0  # to the right of straight on
    dive: float = 0.0  # nose down


class View:
    """One camera of the car at one place."""

    def __init__(self, camera: Camera, size: tuple[int, int], pose: Pose) -> None:
        self.width, self.height = size
        turn = math.radians(pose.heading)
        sine, cosine = math.sin(turn), math.cos(turn)
        self.eye = np.array(
            [
                pose.x + camera.right * cosine + camera.ahead * sine,
                camera.up,
                pose.z + camera.ahead * cosine - camera.right * sine,
            ]
        )
        yaw = turn + math.radians(camera.yaw)
        # A diving nose pitches the front camera down and the rear camera up.
        pitch = math.radians(camera.pitch + pose.dive * math.cos(math.radians(camera.yaw)))
        sy, cy, sp, cp = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
        self.axes = np.array([[cy, 0.0, -sy], [-sy * sp, -cp, -cy * sp], [sy * cp, -sp, cy * cp]]).T
        self.focal = self.width / 2 / math.tan(math.radians(camera.width) / 2)
        self.horizon = self.height / 2 - self.focal * math.tan(pitch)
        self.middle = np.array([self.width / 2, self.height / 2])
        self.slope = self.width / 2 / self.focal  # how far to the side is seen, per metre ahead

    def see(self, points: Points) -> Points:
        """World points (N, 3) in the camera's space."""
        seen: Points = (points - self.eye) @ self.axes
        return seen

    def project(self, seen: Points) -> Points:
        """Points of the camera's space (..., 3), z > 0, as pixels (..., 2)."""
        pixels: Points = seen[..., :2] * (self.focal / seen[..., 2:3]) + self.middle
        return pixels

    def misses(self, x: float, z: float, around: float) -> bool:
        """Whether nothing within ``around`` metres of a point can be in the picture."""
        dx, dz = x - self.eye[0], z - self.eye[2]
        right = dx * self.axes[0, 0] + dz * self.axes[2, 0]
        ahead = dx * self.axes[0, 2] + dz * self.axes[2, 2]
        return bool(abs(right) - around > (ahead + around) * self.slope)
