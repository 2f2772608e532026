"""Smoothing of errors that were measured on few images, so that picks are not the luckiest."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LEAST = 5  # networks from which a trend is fitted


def smoothed_errors(errors: ArrayLike, images: ArrayLike, sizes: ArrayLike) -> NDArray[np.float64]:
    """Return errors as they are expected to be on more images.

    Each is drawn towards a straight line over the logarithm of the size, by how large its
    standard error is beside the spread around the line (empirical Bayes: Efron and Morris, 1975).
    Errors of fewer than five networks stay as they are.

    Args:
        errors: Error rates in [0, 1], of shape (n,).
        images: Images that each was measured on, at least 1, of shape (n,).
        sizes: Parameters, at least 1, of shape (n,).

    Example:
        >>> smoothed_errors([0.30, 0.30], [1000, 1000], [20_000, 40_000])
        array([0.3, 0.3])
    """
    rates, counts = np.asarray(errors, float), np.asarray(images, float)
    if len(rates) < _LEAST:
        return rates
    places = np.log(np.asarray(sizes, float))
    places = places - places.mean()
    noise = np.maximum(rates * (1 - rates), 1 / counts) / counts
    spread = 0.0
    for _ in range(5):  # the weights of the line depend on the spread around it
        weights = 1 / (spread + noise)
        basis = np.stack([np.ones_like(places), places])
        normal = (basis * weights) @ basis.T + 1e-12 * np.eye(2)
        line = np.linalg.solve(normal, (basis * weights) @ rates) @ basis
        excess = (rates - line) ** 2 * len(rates) / (len(rates) - 2) - noise
        spread = max(0.0, float(np.average(excess, weights=weights)))
    trusted = spread / (spread + noise)
    smooth: NDArray[np.float64] = line + trusted * (rates - line)
    return smooth
