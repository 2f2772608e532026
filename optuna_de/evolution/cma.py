"""The normal distribution of CMA-ES, adapted by blocks of ranked points. Pure; NumPy only.

Equation numbers are those of Hansen (2016), *The CMA Evolution Strategy: A Tutorial*
(arXiv:1604.00772). Negative weights are used (active CMA). Points from elsewhere, or from an older
distribution, are shortened as in Hansen (2011), *Injecting External Solutions Into CMA-ES*
(arXiv:1110.4181). Above ``SEPARABLE`` dimensions only variances are adapted (Ros and Hansen,
2008, *A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity*).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEPARABLE = 100
SMALLEST = 1e-14  # of the largest variance: no direction is flatter


@dataclass(frozen=True, slots=True)
class StrategyParameters:
    """Constants of an adaptation, by dimension and block size (table 1, equations 49 to 58)."""

    parents: int
    weights: Array  # (block size,), by rank; those of the parents add up to 1
    effective_parents: float  # mu_eff
    rank_one: float  # c_1
    rank_mu: float  # c_mu
    step_cumulation: float  # c_sigma
    damping: float  # d_sigma
    path_cumulation: float  # c_c
    expected_length: float  # E|N(0, I)|


@lru_cache(maxsize=64)
def strategy_parameters(dimension: int, size: int) -> StrategyParameters:
    """Return the default constants for blocks of ``size`` points, at least 4."""
    d, parents = dimension, size // 2
    raw = math.log((size + 1) / 2) - np.log(np.arange(1, size + 1))
    mu = float(raw[:parents].sum() ** 2 / (raw[:parents] ** 2).sum())
    mu_minus = float(raw[parents:].sum() ** 2 / (raw[parents:] ** 2).sum())
    speed = (d + 2) / 3 if d > SEPARABLE else 1.0  # Ros and Hansen (2008), section 3
    c_1 = speed * 2 / ((d + 1.3) ** 2 + mu)
    c_mu = min(1 - c_1, speed * 2 * (mu - 2 + 1 / mu) / ((d + 2) ** 2 + mu))
    c_sigma = (mu + 2) / (d + mu + 5)
    negative = min(1 + c_1 / c_mu, 1 + 2 * mu_minus / (mu + 2), (1 - c_1 - c_mu) / (d * c_mu))
    weights = np.where(
        raw >= 0, raw / raw[raw > 0].sum(), max(0.0, negative) * raw / -raw[raw < 0].sum()
    )
    return StrategyParameters(
        parents,
        weights,
        mu,
        c_1,
        c_mu,
        c_sigma,
        damping=1 + 2 * max(0.0, math.sqrt((mu - 1) / (d + 1)) - 1) + c_sigma,
        path_cumulation=(4 + mu / d) / (d + 4 + 2 * mu / d),
        expected_length=math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2)),
    )


def block_size(dimension: int) -> int:
    """Return the number of points of a block, ``4 + floor(3 ln d)`` (equation 48)."""
    return 4 + math.floor(3 * math.log(dimension))


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal distribution ``N(mean, step_size^2 * covariance)`` and its evolution paths.

    Args:
        mean: Shape ``(d,)``.
        step_size: Sigma, positive.
        covariance: Shape ``(d, d)``; ``(d,)``, its diagonal, above ``SEPARABLE`` dimensions.
        step_path: Path of the step size, shape ``(d,)``.
        path: Path of the covariance, shape ``(d,)``.
        axes: Eigenvectors of the covariance as columns, shape ``(d, d)``; ``None`` where it is
            diagonal.
        lengths: Square roots of its eigenvalues, shape ``(d,)``.
        blocks: Number of blocks that it was adapted by.
    """

    mean: Array
    step_size: float
    covariance: Array
    step_path: Array
    path: Array
    axes: Array | None
    lengths: Array
    blocks: int = 0

    @property
    def deviations(self) -> Array:
        """The standard deviation of each coordinate, shape ``(d,)``."""
        variances = self.covariance if self.axes is None else self.covariance.diagonal()
        return np.asarray(self.step_size * np.sqrt(variances))

    def whiten(self, points: Array) -> Array:
        """Map points ``(n, d)`` to coordinates in which the distribution is ``N(0, I)``."""
        moved = (points - self.mean) / self.step_size
        return np.asarray((moved if self.axes is None else moved @ self.axes) / self.lengths)

    def colour(self, white: Array) -> Array:
        """Map white coordinates, ``(n, d)`` or ``(d,)``, to points."""
        scaled = white * self.lengths
        turned = scaled if self.axes is None else scaled @ self.axes.T
        return np.asarray(self.mean + self.step_size * turned)


def isotropic(mean: Array, step_size: float) -> Normal:
    """Return the distribution that a run starts from."""
    d = len(mean)
    zeros, ones = np.zeros(d), np.ones(d)
    if d > SEPARABLE:
        return Normal(mean, step_size, ones, zeros, zeros, None, ones)
    return Normal(mean, step_size, np.eye(d), zeros, zeros, np.eye(d), ones)


def adapt(normal: Normal, points: Array, floor: Array, cap: float) -> Normal:
    """Return the distribution after a block of points.

    Args:
        normal: The distribution before.
        points: Shape ``(n, d)``, best first, at least 4.
        floor: Smallest standard deviation of each coordinate, shape ``(d,)``; of a coordinate on
            a grid, so that it does not stop on one value.
        cap: Largest standard deviation of any coordinate.
    """
    size, d = points.shape
    p = strategy_parameters(d, size)
    white = _shorten(normal.whiten(points))
    steps = (normal.colour(white) - normal.mean) / normal.step_size  # y, equation 39
    step = p.weights[: p.parents] @ steps[: p.parents]  # <y>_w, equation 41
    step_path = _step_path(normal, p.weights[: p.parents] @ white[: p.parents], p)
    length = float(np.linalg.norm(step_path))
    moving = _is_moving(length, normal.blocks + 1, d, p)
    path = (1 - p.path_cumulation) * normal.path  # equation 45
    if moving:
        c = p.path_cumulation
        path = path + math.sqrt(c * (2 - c) * p.effective_parents) * step
    growth = p.step_cumulation / p.damping * (length / p.expected_length - 1)  # equation 44
    adapted = replace(
        normal,
        mean=normal.mean + normal.step_size * step,  # equation 42
        step_size=normal.step_size * math.exp(min(1.0, growth)),
        covariance=_covariance(normal.covariance, path, steps, white, moving, p),
        step_path=step_path,
        path=path,
        blocks=normal.blocks + 1,
    )
    return _decomposed(_bounded(adapted, floor, cap))


def _shorten(white: Array) -> Array:
    """Limit the length of each step (Hansen, 2011, equation 3, with ``c_y = sqrt(d) + ...``)."""
    d = white.shape[1]
    lengths = np.linalg.norm(white, axis=1, keepdims=True)
    longest = math.sqrt(d) + 2 * d / (d + 2)
    return np.asarray(white * np.minimum(1.0, longest / np.maximum(lengths, 1e-300)))


def _step_path(normal: Normal, white_step: Array, p: StrategyParameters) -> Array:
    """Return ``p_sigma`` (equation 43); ``C^(-1/2) y`` is the white step turned back."""
    c = p.step_cumulation
    turned = white_step if normal.axes is None else normal.axes @ white_step
    gain = math.sqrt(c * (2 - c) * p.effective_parents)
    return np.asarray((1 - c) * normal.step_path + gain * turned)


def _is_moving(length: float, blocks: int, d: int, p: StrategyParameters) -> bool:
    """Return ``h_sigma`` (page 30): the path is not so long that the covariance has to wait."""
    warm = math.sqrt(1 - (1 - p.step_cumulation) ** (2 * blocks))
    return length / warm < (1.4 + 2 / (d + 1)) * p.expected_length


def _covariance(
    before: Array, path: Array, steps: Array, white: Array, moving: bool, p: StrategyParameters
) -> Array:
    """Return the covariance by its rank-one and rank-mu updates (equations 46 and 47)."""
    squares = np.maximum((white**2).sum(axis=1), 1e-12)
    weights = np.where(p.weights >= 0, p.weights, p.weights * white.shape[1] / squares)
    c = p.path_cumulation
    waiting = 0.0 if moving else c * (2 - c)
    kept = 1 + p.rank_one * waiting - p.rank_one - p.rank_mu * p.weights.sum()
    if before.ndim == 1:
        return np.asarray(kept * before + p.rank_one * path**2 + p.rank_mu * (weights @ steps**2))
    rank_mu = (steps.T * weights) @ steps
    return np.asarray(kept * before + p.rank_one * np.outer(path, path) + p.rank_mu * rank_mu)


def _bounded(normal: Normal, floor: Array, cap: float) -> Normal:
    """Keep the standard deviations between a floor and a cap."""
    flat = normal.covariance.ndim == 1
    variances = normal.covariance if flat else normal.covariance.diagonal()
    widest = normal.step_size * math.sqrt(max(float(variances.max()), 1e-300))
    step_size = normal.step_size * min(1.0, cap / widest)
    missing = np.maximum(0.0, (floor / step_size) ** 2 - variances)
    covariance = normal.covariance + (missing if flat else np.diag(missing))
    return replace(normal, step_size=step_size, covariance=covariance)


def _decomposed(normal: Normal) -> Normal:
    """Set the eigenvectors and eigenvalues: once for each block."""
    if normal.covariance.ndim == 1:
        values, axes, covariance = normal.covariance, None, normal.covariance
    else:
        covariance = (normal.covariance + normal.covariance.T) / 2
        values, axes = np.linalg.eigh(covariance)
    lengths = np.sqrt(np.maximum(values, values.max() * SMALLEST))
    return replace(normal, covariance=covariance, axes=axes, lengths=lengths)
