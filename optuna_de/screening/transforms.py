"""Transforms of losses for the model: scaling, extrapolation, and choice of training points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from optuna_de import _compat

Array = NDArray[np.float64]
Losses = tuple[float, ...]
NEAR = 0.7
"""The part of the least loss that is subtracted."""
TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class Scale:
    """Losses on a logarithmic scale if none is negative, else as they are.

    Args:
        shift: Added before the logarithm; ``None`` for losses as they are.
        worst: The largest finite loss; losses beyond it count as much.
        best: The smallest finite loss.
        unit: What losses are divided by, 1 unless their squares could leave the range of floats.
    """

    shift: float | None
    best: float
    worst: float
    unit: float = 1.0

    @classmethod
    def of(cls, losses: Array, logarithmic: bool = True) -> Scale:
        """Return the scale of an objective's losses ``(n,)``."""
        finite = losses[np.isfinite(losses)]
        if not len(finite):
            return cls(None, 0.0, 0.0)
        largest = float(np.abs(finite).max())
        unit = 1.0 if largest == 0 or 1e-100 < largest < 1e100 else max(largest, 1e-300)
        finite = finite / unit
        best, worst = float(finite.min()), float(finite.max())
        if best < 0 or worst == 0 or not logarithmic:
            return cls(None, best, worst, unit)
        shift = 0.0 if best > 0 else max(float(finite[finite > 0].min()) / 2, TINY)
        return cls(shift, best, worst, unit)

    def forward(self, losses: Array) -> Array:
        """Map losses; a known price beyond the worst one seen stays what it is."""
        with np.errstate(over="ignore"):  # a known price far beyond the losses is infinite
            losses = losses / self.unit
        finite = np.where(np.isposinf(losses), self.worst, losses)
        finite = np.where(np.isneginf(losses), self.best, finite)
        if self.shift is None:
            return finite
        floor = self.best if self.shift == 0 else 0.0
        return np.asarray(np.log(np.maximum(finite, max(floor * 1e-6, TINY)) + self.shift))


@dataclass(frozen=True)
class Stretch:
    """The logarithm of losses above a part of the least one: it spreads out those near the best.

    On it a Gaussian process, which is as sure of bad losses as of good ones, ranks the good ones
    better; a part nearer to 1 would spread out their noise.

    Args:
        floor: The logarithm of what is subtracted; minus infinity changes nothing.
    """

    floor: float

    @classmethod
    def of(cls, logarithms: Array, logarithmic: bool = True) -> Stretch:
        """Return that of an objective's losses ``(n,)``, which are logarithms."""
        return cls(float(logarithms.min()) + log(NEAR) if logarithmic else -inf)

    def forward(self, logarithms: Array) -> Array:
        """Map logarithms of losses, none below the least one."""
        return np.asarray(logarithms + np.log1p(-np.exp(self.floor - logarithms)))

    def backward(self, stretched: Array) -> Array:
        """Return the logarithms of losses that were mapped so; all are above ``floor``."""
        return np.asarray(np.logaddexp(stretched, self.floor))


def extrapolate_losses(early: Losses, complete: Sequence[tuple[Losses, Losses]]) -> Losses:
    """Extrapolate early losses to the last epoch, from pairs of early and final losses.

    Each loss changes by the median factor of the pairs, or by the median difference where a loss
    is not positive; without pairs of finite losses it stays what it is.
    """
    finite = [pair for pair in complete if np.isfinite(pair).all()]
    if not finite:
        return early
    first, last = np.array(finite, dtype=float).transpose(1, 0, 2)  # (k, m) each
    now = np.array(early)
    positive = (first > 0).all(axis=0) & (last > 0).all(axis=0) & (now > 0)
    with np.errstate(over="ignore", invalid="ignore"):
        factor = np.median(last / np.where(first > 0, first, 1.0), axis=0)
        moved = np.where(positive, now * factor, now + np.median(last - first, axis=0))
    moved = np.where(np.isnan(moved), now, moved)  # differences that overflow both ways
    return tuple(float(loss) for loss in moved)


def training_subset(losses: Array, limit: int) -> NDArray[np.intp]:
    """Return which of ``(n, m)`` losses a model learns from, ``limit`` of them at most.

    Those on the front (half of the limit at most, the latest first), then the latest, up to
    three quarters; the rest are evenly spaced over the others.
    """
    n = len(losses)
    if n <= limit:
        return np.arange(n)
    front = np.flatnonzero(_compat.is_on_front(losses))[-limit // 2 :]
    others = np.setdiff1d(np.arange(n), front)
    recent = others[len(front) - limit * 3 // 4 :]
    rest = others[: len(others) - len(recent)]
    spaced = rest[np.linspace(0, len(rest) - 1, limit - len(front) - len(recent)).astype(int)]
    return np.sort(np.concatenate([front, recent, spaced]))
