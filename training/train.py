# SPDX-License-Identifier: Apache-2.0
"""Train the detector within a given number of minutes; resumes from its last checkpoint.

python -m training.train --data ../shared/data --cache ../cache --out runs/a --minutes 40
python -m training.train ... --out runs/b --minutes 45 --rate 2.5e-3 --init runs/a/last.pt
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from training.data import Pixels, load_split
from training.losses import losses
from training.net import Detector
from training.pacing import Pace
from training.sampling import Views

WARM_UP = 150
SAVE_SECONDS = 120.0
BOX_WEIGHT = 2.0


@dataclass
class State:
    """All that a resumed run needs."""

    net: Detector
    average: Detector
    optimizer: torch.optim.Optimizer
    step: int = 0
    elapsed: float = 0.0

    def save(self, path: Path) -> None:
        """Write by way of a second file, so that a kill never leaves half a checkpoint."""
        part = path.with_suffix(".part")
        torch.save(
            {
                "net": self.net.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "elapsed": self.elapsed,
            },
            part,
        )
        part.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        saved: dict[str, Any] = torch.load(path, weights_only=True)
        self.net.load_state_dict(saved["net"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.elapsed = saved["step"], saved["elapsed"]

    def blend(self) -> None:
        """Move the averaged weights towards the current ones."""
        keep = min(0.998, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            pairs = zip(
                self.average.state_dict().values(), self.net.state_dict().values(), strict=True
            )
            for mean, now in pairs:
                if mean.is_floating_point():
                    mean.lerp_(now, 1 - keep)
                else:
                    mean.copy_(now)


def groups(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return parameters in two groups: norms and biases are not decayed."""
    heavy = [p for p in net.parameters() if p.ndim > 1]
    light = [p for p in net.parameters() if p.ndim <= 1]
    return [{"params": heavy, "weight_decay": decay}, {"params": light, "weight_decay": 0.0}]


def fresh(rate: float, init: Path | None) -> State:
    """Return a new state, with the averaged weights of an earlier run if given."""
    net = Detector().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if init:
        net.load_state_dict(torch.load(init, weights_only=True)["average"])
    optimizer = torch.optim.AdamW(groups(net, 0.02), lr=rate, betas=(0.9, 0.99))
    return State(net, copy.deepcopy(net).eval(), optimizer)


def rate_at(share: float, step: int, top: float) -> float:
    """Cosine over the time budget after a short climb."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    return top * min(1.0, (step + 1) / WARM_UP) * max(cosine, 0.003)


def one_step(state: State, batch: list[Tensor]) -> tuple[float, float]:
    """Run one batch and return its two losses."""
    images, heat, sides, weight, mask = batch
    x = images.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        score, log_sides = state.net(x)
    heat_loss, box_loss = losses(score.float(), log_sides.float(), heat, sides, weight, mask)
    state.optimizer.zero_grad(set_to_none=True)
    (heat_loss + BOX_WEIGHT * box_loss).backward()
    nn.utils.clip_grad_norm_(state.net.parameters(), 10.0)
    state.optimizer.step()
    state.step += 1
    state.blend()
    return heat_loss.item(), box_loss.item()


def train(state: State, loader: DataLoader[Any], out: Path, minutes: float, top: float) -> None:
    """Run until the time is used up, or a SIGTERM says to save and stop."""
    state.net.train()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    pace = Pace(os.cpu_count() or 1)
    means, saved, started = [0.0, 0.0], time.monotonic(), time.monotonic() - state.elapsed
    for batch in loader:
        state.elapsed = time.monotonic() - started
        if state.elapsed > minutes * 60 or stopped:
            break
        for group in state.optimizer.param_groups:
            group["lr"] = rate_at(state.elapsed / (minutes * 60), state.step, top)
        for i, value in enumerate(one_step(state, batch)):
            means[i] += 0.02 * (value - means[i])
        pace.step()
        if state.step % 50 == 0:
            heat, box = means
            print(
                f"{state.step} {state.elapsed:.0f}s heat {heat:.4f} box {box:.4f}",
                pace.seconds,
                flush=True,
            )
        if time.monotonic() - saved > SAVE_SECONDS:
            state.save(out / "last.pt")
            saved = time.monotonic()
    state.save(out / "last.pt")


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("../cache"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--init", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    records, _ = load_split(args.data, args.cache)
    pixels = Pixels(records, args.cache / "train.bin")
    state = fresh(args.rate, args.init)
    if (args.out / "last.pt").exists():
        state.load(args.out / "last.pt")
    # Another seed after a resume, or the run would see its first pictures again.
    views = Views(records, pixels, args.seed + state.step)
    loader: DataLoader[Any] = DataLoader(views, batch_size=None, num_workers=1, prefetch_factor=4)
    train(state, loader, args.out, args.minutes, args.rate)


if __name__ == "__main__":
    main()
