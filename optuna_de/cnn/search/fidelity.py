"""Fidelity of a training: its images and epochs; and the ladder of them that a search climbs.

Every network is trained anew at each rung, by a whole schedule, and scored on the same validation
images, so that the errors of a rung are comparable. Promotion is that of
:class:`optuna_de.halving.Halving`, whose unit of budget is a rung here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optuna_de._checks import require
from optuna_de.cnn.data.dataset import ImageData, Split
from optuna_de.cnn.data.splits import divide

FACTOR = 3
"""How much dearer a rung is than the one below, and the share of networks that it takes."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Fidelity of one rung: training images and epochs, both at least 1."""

    images: int
    epochs: int

    def __post_init__(self) -> None:
        require(self.images >= 1, "images of a fidelity", self.images, "at least 1")
        require(self.epochs >= 1, "epochs of a fidelity", self.epochs, "at least 1")

    @property
    def passes(self) -> int:
        """Images that pass through the network in its training."""
        return self.images * self.epochs

    @property
    def text(self) -> str:
        """The fidelity in words."""
        return f"{self.epochs} x {self.images:,} images"


Ladder = tuple[Fidelity, ...]


def fidelity_of(passes: float, images: int) -> Fidelity:
    """Return the fidelity of about so many passes of a set: few epochs of many images."""
    epochs = max(1, math.ceil(passes / images))
    return Fidelity(max(1, min(images, round(passes / epochs))), epochs)


def ladder_of(passes: float, images: int, rungs: int) -> Ladder:
    """Return a ladder whose first rung has about so many passes, each further one three times.

    Args:
        passes: Training images of the first rung times its epochs.
        images: Images of the training split.
        rungs: Number of rungs, at least 1.
    """
    return tuple(fidelity_of(passes * FACTOR**i, images) for i in range(rungs))


def ladder_text(ladder: Sequence[Fidelity]) -> str:
    """Return a ladder in words, as a study records it."""
    return ", ".join(rung.text for rung in ladder)


@lru_cache(maxsize=8)
def reduced(data: ImageData, images: int) -> ImageData:
    """Return a set with so many of its training images, stratified; validation stays whole.

    A larger number contains the images of a smaller one, but for rounding within classes.
    """
    if images >= len(data.train.labels):
        return data
    least = max(images, len(data.classes))
    _, chosen = _divided(data, least)
    split = Split(data.train.images[chosen], data.train.labels[chosen])
    name = f"{least} of {data.fingerprint}"
    return replace(data, train=split, fingerprint=hashlib.sha256(name.encode()).hexdigest()[:16])


@lru_cache(maxsize=2)
def unseen(data: ImageData, images: int, most: int) -> Split | None:
    """Return training images that :func:`reduced` leaves out, evenly chosen; None if none are.

    Args:
        data: The set.
        images: Images that a network was trained on.
        most: Images to return at most, at least 1.
    """
    taken = max(images, len(data.classes))
    if taken >= len(data.train.labels):
        return None
    others, _ = _divided(data, taken)
    others = others[:: -(-len(others) // most)]
    return Split(data.train.images[others], data.train.labels[others])


def _divided(data: ImageData, images: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of training images that a rung leaves out, and those that it takes."""
    labels = data.train.labels.cpu().numpy()
    every = np.arange(len(labels))
    return divide(every, labels, data.classes, images, data.split_seed, "a rung", least=0, keep=0)
