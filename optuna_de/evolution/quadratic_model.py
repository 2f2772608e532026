"""A quadratic model of a loss near a point, and its minimum in a ball. Pure; NumPy only.

The model is the least-squares polynomial of the linear-quadratic CMA-ES (Hansen, 2019, *A Global
Surrogate Assisted CMA-ES*, GECCO): linear, with squares, or with all products, as the number of
points allows, and better points weigh more. Its minimum is taken in a ball, as a trust region
method takes it (Conn, Gould and Toint, 2000, *Trust-Region Methods*, chapter 7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FULL = 12  # dimensions up to which products are modelled: above, squares alone reached more
EXCESS = 1.1  # points per coefficient from which on a degree is used (Hansen, 2019)
LEAST_WEIGHT = 0.05  # of the worst point; the best has 1 (Hansen, 2019: from 20 to 1)
RIDGE = 1e-10  # of the mean diagonal of the normal equations


@dataclass(frozen=True, slots=True)
class Quadratic:
    """``gradient @ z + z @ hessian @ z / 2``, up to a constant and a positive factor.

    Args:
        gradient: Shape ``(d,)``.
        hessian: Shape ``(d, d)``, symmetric.
    """

    gradient: Array
    hessian: Array


def coefficients(dimension: int) -> tuple[int, int, int]:
    """Return how many coefficients a linear, a diagonal and a full model have."""
    d = dimension
    return d + 1, 2 * d + 1, (d + 1) * (d + 2) // 2


def points_wanted(dimension: int) -> int:
    """Return how many points a model is fitted to, where there are as many."""
    _, diagonal, full = coefficients(dimension)
    return 2 * (full if dimension <= FULL else diagonal) + dimension


def fit(points: Array, losses: Array) -> Quadratic | None:
    """Fit a model.

    Args:
        points: Shape ``(n, d)``, around 0 and of a scale of 1.
        losses: Shape ``(n,)``, finite.

    Returns:
        ``None`` where there are too few points for a linear model, or all losses are equal.
    """
    n, d = points.shape
    linear, diagonal, full = coefficients(d)
    losses = np.ldexp(losses, -np.frexp(np.abs(losses).max())[1])  # no square overflows
    spread = float(losses.std())
    if n < EXCESS * linear or not spread > 0:
        return None
    columns = [np.ones((n, 1)), points]
    rows, cols = np.triu_indices(d) if d <= FULL and n >= EXCESS * full else (np.arange(d),) * 2
    if n >= EXCESS * diagonal:
        columns.append(points[:, rows] * points[:, cols])
    solution = _least_squares(np.hstack(columns), (losses - losses.mean()) / spread)
    if solution is None:
        return None
    hessian = np.zeros((d, d))
    if n >= EXCESS * diagonal:
        hessian[rows, cols] = solution[1 + d :]
    return Quadratic(solution[1 : 1 + d], hessian + hessian.T)


def _least_squares(design: Array, losses: Array) -> Array | None:
    """Solve the weighted normal equations; the weights fall linearly with the rank."""
    ranks = np.argsort(np.argsort(losses))
    root = np.sqrt(np.linspace(1.0, LEAST_WEIGHT, len(losses)))[ranks]
    weighted = design * root[:, None]
    normal = weighted.T @ weighted
    normal[np.diag_indices_from(normal)] += RIDGE * np.trace(normal) / len(normal)
    try:
        solution = np.linalg.solve(normal, weighted.T @ (losses * root))
    except np.linalg.LinAlgError:
        return None
    return solution if np.isfinite(solution).all() else None


def minimum(model: Quadratic, radius: float) -> tuple[Array, float]:
    """Return the minimum of a model in a ball around 0, and its multiplier.

    The multiplier ``l >= 0`` solves ``(hessian + l I) z = -gradient`` and ``|z| = radius``, by
    Newton's method on ``1 / |z|`` (Conn et al., 2000, section 7.3).
    """
    values, axes = np.linalg.eigh(model.hessian)
    slope = axes.T @ model.gradient
    scale = max(float(np.abs(values).max()), 1e-30)
    if values[0] > 1e-10 * scale and np.linalg.norm(slope / values) <= radius:
        return -axes @ (slope / values), 0.0
    least = max(0.0, -float(values[0])) + 1e-9 * scale
    shift = _multiplier(slope, values, radius, least)
    z = -slope / (values + shift)
    length = float(np.linalg.norm(z))
    if length > radius:
        z *= radius / length
    elif length < 0.99 * radius and values[0] <= 0:  # the hard case: along the lowest curvature
        z[0] -= math.copysign(math.sqrt(radius**2 - length**2), slope[0])
    return axes @ z, shift


def _multiplier(slope: Array, values: Array, radius: float, least: float) -> float:
    shift = least + float(np.linalg.norm(slope)) / radius
    for _ in range(10):
        z = slope / (values + shift)
        squared = float(z @ z)
        length = math.sqrt(squared)
        if squared == 0 or abs(length - radius) < 1e-3 * radius:
            break
        change = (length - radius) / radius * squared / float(z**2 @ (1 / (values + shift)))
        shift = max(least, shift + change)
    return shift
