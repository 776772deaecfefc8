# SPDX-License-Identifier: Apache-2.0
"""What chance is, and whether something did better: permutation tests, seeded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_ROUNDS = 10_000


def alike(said: str, true: str) -> float:
    """The share of ``true`` that ``said`` has right: 1 - edit distance / the longer's length."""
    row = list(range(len(true) + 1))
    for i, a in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(true, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return 1 - row[-1] / max(1, len(said), len(true))


def judged(scores: Matrix) -> dict[str, float]:
    """``scores[i, j]``: how well answer i fits truth j. Is the diagonal better than chance?

    ``chance``: the mean with truths dealt out anew; ``p``: how often that does as well.
    """
    count = len(scores)
    rng = np.random.default_rng(1)
    real = float(np.diag(scores).mean())
    dealt = [scores[np.arange(count), rng.permutation(count)].mean() for _ in range(_ROUNDS)]
    as_good = int(np.sum(np.array(dealt) >= real - 1e-12))
    return {
        "right": round(real, 4),
        "chance": round(float(np.mean(dealt)), 4),
        "p": round((1 + as_good) / (1 + _ROUNDS), 4),
    }


def ranked(likeness: Matrix, own: Sequence[int] | None = None) -> dict[str, float]:
    """``likeness[i, j]``: of probe i to gallery entry j; ``own[i]``: the right one (else i).

    ``top1``: share of probes whose right entry is first (ties count as shares of chance), beside
    chance; ``bits``: how much of log2 of the gallery's size is learned, from the mean of
    log2(rank), so that chance is 0; ``p``: of the bits, as :func:`judged`.
    """
    count, size = likeness.shape
    own = range(count) if own is None else own
    first = np.zeros_like(likeness)
    bits = np.zeros_like(likeness)
    for probe, row in enumerate(np.round(likeness, 9)):
        above = (row[None] > row[:, None]).sum(1)
        ties = (row[None] == row[:, None]).sum(1)
        first[probe] = np.where(above == 0, 1 / ties, 0.0)
        bits[probe] = -np.log2(1 + above + (ties - 1) / 2)
    columns = np.array([own[i] for i in range(count)])
    base = np.log2(np.arange(1, size + 1)).mean()
    top, learned = judged(first[:, columns]), judged(bits[:, columns])
    return {
        "top1": top["right"],
        "chance": round(1 / size, 4),
        "bits": round(float(base + learned["right"]), 2),
        "of": round(float(np.log2(size)), 2),
        "p": learned["p"],
    }
