"""A Gaussian process of one loss, by scikit-learn, which is imported when a model is fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
JITTER = 1e-8
"""Added to the kernel's diagonal, so that it can be factored."""


@dataclass(frozen=True)
class Model:
    """A Gaussian process with a constant mean, a Matern kernel and noise (Rasmussen, 2006).

    Args:
        process: The fitted scikit-learn regressor of standardised losses, of unit amplitude.
        mean: The losses' mean.
        deviation: Their standard deviation.
        theta: Length scale and noise.
    """

    process: Any
    mean: float
    deviation: float
    x: Array
    y: Array
    smoothness: float
    theta: tuple[float, float]

    @classmethod
    def fit(cls, x: Array, losses: Array, smoothness: float, theta: tuple[float, float]) -> Model:
        """Condition on features ``(n, d)`` and losses ``(n,)``."""
        y, mean, deviation = _standardised(losses)
        return cls(_process(x, y, smoothness, theta), mean, deviation, x, y, smoothness, theta)

    @cached_property
    def amplitude(self) -> float:
        """The kernel's most likely standard deviation, in units of ``deviation``."""
        return float(np.sqrt(max(1e-12, self.y @ self.process.alpha_ / len(self.y))))

    @property
    def left_out(self) -> Array:
        """Standardised losses less their predictions from all others, in closed form.

        Sundararajan and Keerthi (2001), equation 12.
        """
        from scipy.linalg.lapack import dtrtri

        factor, _ = dtrtri(self.process.L_, lower=1)  # L^-1; the inverse is its square
        return np.asarray(self.process.alpha_ / (factor**2).sum(axis=0))

    @property
    def smoothed(self) -> Array:
        """The predicted losses of the trials that it learned from, ``(n,)``, noise left out.

        With ``(K + s I) a = y`` they are ``K a = y - s a`` (Rasmussen, 2006, equation 2.25).
        """
        noise = self.theta[1] + self.process.alpha
        return np.asarray(self.mean + self.deviation * (self.y - noise * self.process.alpha_))

    @property
    def is_useful(self) -> bool:
        """Whether its leave-one-out errors are below those of the mean of the others."""
        n = len(self.y)
        constant = self.y * n / max(1, n - 1)
        return bool((self.left_out**2).sum() < (constant**2).sum())

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Return mean and deviation, noise left out, of the losses at features ``(n, d)``."""
        if not len(x):
            return np.zeros(0), np.zeros(0)
        mean, deviation = self.process.predict(x, return_std=True)
        noise = self.theta[1]
        latent = np.sqrt(np.maximum(deviation**2 - noise, 0.0))
        return self.mean + self.deviation * mean, self.deviation * self.amplitude * latent

    def believing(self, x: Array, losses: Array) -> Model:
        """Return this model, conditioned as well on losses ``(k,)`` at features ``(k, d)``."""
        if not len(x):
            return self
        x, y = np.vstack([self.x, x]), np.append(self.y, (losses - self.mean) / self.deviation)
        process = _process(x, y, self.smoothness, self.theta)
        model = Model(process, self.mean, self.deviation, x, y, self.smoothness, self.theta)
        model.__dict__["amplitude"] = self.amplitude
        return model


def most_likely(
    x: Array,
    losses: Array,
    smoothness: float,
    lengths: Sequence[float],
    noises: Sequence[float],
) -> tuple[float, float]:
    """Return the length scale and noise of the Gaussian process of the greatest likelihood.

    It stands for ``Model.fit`` at each of them; all share one matrix of distances.

    Args:
        x: Features ``(n, d)``.
        losses: Their losses ``(n,)``.
        smoothness: The Matern kernel's, 0.5, 1.5 or 2.5.
        lengths: Length scales to choose from.
        noises: Variances of the noise to choose from, in units of the process's variance.
    """
    likelihoods = _likelihoods(x, _standardised(losses)[0], smoothness, lengths, noises)
    return max(zip(likelihoods, product(lengths, noises), strict=True), key=lambda row: row[0])[1]


def _likelihoods(
    x: Array, y: Array, smoothness: float, lengths: Sequence[float], noises: Sequence[float]
) -> Iterator[float]:
    """Yield log likelihoods at the most likely amplitude, up to a constant.

    With ``L L' = K + noise`` they are ``-n/2 log(|L^-1 y|^2 / n) - log det L`` (Rasmussen, 2006,
    equation 5.8).
    """
    from scipy.linalg import cholesky, solve_triangular
    from scipy.spatial.distance import pdist, squareform

    distances, diagonal = squareform(pdist(x)), np.diag_indices(len(x))
    for length in lengths:
        kernel = matern(distances / length, smoothness)
        for noise in noises:
            kernel[diagonal] = 1.0 + noise + JITTER
            factor = cholesky(kernel, lower=True, check_finite=False)
            whitened = solve_triangular(factor, y, lower=True, check_finite=False)
            variance = max(1e-12, float(whitened @ whitened) / len(y))
            determinant = float(np.log(np.diag(factor)).sum())
            yield -len(y) / 2 * float(np.log(variance)) - determinant


def matern(distances: Array, smoothness: float) -> Array:
    """Return the Matern kernel at scaled distances (Rasmussen, 2006, equation 4.17)."""
    scaled = distances * np.sqrt(2 * smoothness)
    decay = np.exp(-scaled)
    match smoothness:
        case 0.5:
            return np.asarray(decay)
        case 1.5:
            return np.asarray((1 + scaled) * decay)
        case _:
            return np.asarray((1 + scaled + scaled**2 / 3) * decay)


def _standardised(losses: Array) -> tuple[Array, float, float]:
    """Return losses of mean 0 and deviation 1, with both as they were."""
    mean, deviation = float(losses.mean()), float(losses.std()) or 1.0
    return (losses - mean) / deviation, mean, deviation


def _process(x: Array, y: Array, smoothness: float, theta: tuple[float, float]) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel

    length, noise = theta
    kernel = Matern(length, nu=smoothness) + WhiteKernel(noise)
    return GaussianProcessRegressor(kernel, alpha=JITTER, optimizer=None).fit(x, y)
