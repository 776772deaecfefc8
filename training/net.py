# SPDX-License-Identifier: Apache-2.0
"""The detector: inverted residuals to stride 32, a small FPN back to stride 4, one light head.

The head gives, for each cell of 4x4 pixels, one score per kind and the distances from the
cell's centre to the four sides of a box (one box for both kinds: no spot is both).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from training.depthwise import DepthwiseConv

STRIDE = 4
KINDS = ("plate", "face")
# Scores start low everywhere, or the empty cells of the first batches drown the boxes.
PRIOR = 0.01
# The network gives the logarithm of a distance; this clamp keeps exp() finite in bf16.
MAX_LOG = 7.0


@dataclass(frozen=True)
class Shape:
    """Widths and depths of one variant of the network."""

    stem: int = 16
    widths: tuple[int, int, int, int] = (16, 48, 96, 160)
    depths: tuple[int, int, int, int] = (1, 3, 4, 3)
    expand: tuple[int, int, int, int] = (3, 3, 3, 3)
    neck: int = 32


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and, unless it is a projection, ReLU."""

    def __init__(
        self, inp: int, out: int, size: int = 1, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        conv = DepthwiseConv if groups > 1 else nn.Conv2d
        layers: list[nn.Module] = [
            conv(inp, out, size, stride, size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(out, momentum=0.03),
        ]
        if act:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class Block(nn.Module):
    """Inverted residual: widen, 5x5 depthwise, narrow; adds its input where shapes allow."""

    def __init__(self, inp: int, out: int, expand: int, stride: int) -> None:
        super().__init__()
        mid = inp * expand
        self.body = nn.Sequential(
            ConvNorm(inp, mid),
            ConvNorm(mid, mid, 5, stride, groups=mid),
            ConvNorm(mid, out, act=False),
        )
        self.same = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        y: Tensor = self.body(x)
        return x + y if self.same else y


class Merge(nn.Module):
    """Separable convolution after two levels were added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvNorm(width, width, 5, groups=width), ConvNorm(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Smooth the sum."""
        y: Tensor = self.body(x)
        return y


class Detector(nn.Module):
    """RGB 0..255 in, score logits and log distances at stride 4 out."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        s = shape or Shape()
        w = s.widths
        self.stem = nn.Sequential(
            ConvNorm(3, s.stem, 3, 2),
            ConvNorm(s.stem, w[0], 3, 2),
        )
        self.stages = nn.ModuleList()
        for level in range(4):
            blocks: list[nn.Module] = []
            for i in range(s.depths[level]):
                first = i == 0 and level > 0
                inp = w[level - 1] if first else w[level]
                grow = 4 if first else s.expand[level]
                blocks.append(Block(inp, w[level], grow, 2 if first else 1))
            self.stages.append(nn.Sequential(*blocks))
        self.lateral = nn.ModuleList(ConvNorm(c, s.neck, act=False) for c in w)
        self.merge = nn.ModuleList(Merge(s.neck) for _ in range(3))
        self.head = nn.Sequential(
            ConvNorm(s.neck, s.neck, 5, groups=s.neck), ConvNorm(s.neck, s.neck)
        )
        self.score = nn.Conv2d(s.neck, len(KINDS), 1)
        self.sides = nn.Conv2d(s.neck, 4, 1)
        self._start()

    def _start(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.normal_(self.sides.weight, std=0.01)
        nn.init.constant_(self.score.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]
        nn.init.constant_(self.sides.bias, 2.5)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return score logits (N, 2, H/4, W/4) and log distances (N, 4, H/4, W/4)."""
        return self.look((x - 127.5) * (1 / 64))

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Do the same with pixels scaled already, as the shipped model gets them."""
        x = self.stem(x)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        y = self.lateral[3](levels[3])
        for level in (2, 1, 0):
            y = nn.functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = self.merge[level](y + self.lateral[level](levels[level]))
        y = self.head(y)
        return self.score(y), self.sides(y).clamp(-2.0, MAX_LOG)
