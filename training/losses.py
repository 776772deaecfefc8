# SPDX-License-Identifier: Apache-2.0
"""Penalty-reduced focal loss for the heatmap and GIoU for the boxes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def heat_loss(score: Tensor, heat: Tensor, mask: Tensor) -> Tensor:
    """Focal loss after CornerNet: cells on a bump's slope count less as false alarms."""
    p = torch.sigmoid(score)
    peak = (heat >= 0.9999).float() * mask
    yes = functional.softplus(-score) * (1 - p) ** 2 * peak
    no = functional.softplus(score) * p**2 * (1 - heat) ** 4 * (1 - peak) * mask
    return (yes.sum() + no.sum()) / peak.sum().clamp(min=8.0)


def box_loss(log_sides: Tensor, sides: Tensor, weight: Tensor) -> Tensor:
    """GIoU and bare share of boxes seen from one cell, so only the four distances matter."""
    mine = weight > 0
    if not bool(mine.any()):
        return log_sides.sum() * 0
    p = torch.exp(log_sides.permute(0, 2, 3, 1)[mine])
    t = sides.permute(0, 2, 3, 1)[mine]
    area = (p[:, 0] + p[:, 2]) * (p[:, 1] + p[:, 3])
    want = (t[:, 0] + t[:, 2]) * (t[:, 1] + t[:, 3])
    low, high = torch.minimum(p, t), torch.maximum(p, t)
    inter = (low[:, 0] + low[:, 2]) * (low[:, 1] + low[:, 3])
    hull = (high[:, 0] + high[:, 2]) * (high[:, 1] + high[:, 3])
    union = area + want - inter
    giou = inter / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)
    # What stays visible costs more than what is covered needlessly.
    bare = 1 - inter / want.clamp(min=1e-6)
    w = weight[mine]
    return ((1 - giou + bare) * w).sum() / w.sum()


def losses(
    score: Tensor, log_sides: Tensor, heat: Tensor, sides: Tensor, weight: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the heatmap loss and the box loss of a batch."""
    return heat_loss(score, heat, mask), box_loss(log_sides, sides, weight)
