"""Summary of a set: its splits, duplicates and constant answer."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.sources import Source

UNEQUAL = 3
"""How many times the images of the smallest class the largest one may have without a word."""
FEW = 100
"""Images; fewer score so coarsely that it is said."""


def summary(source: Source, data: ImageData, held: int, notes: tuple[str, ...] = ()) -> str:
    """Return a summary of a source and its splits, and of what a constant answer is worth.

    Args:
        found: The source.
        data: Its splits.
        held: Images drawn for the test.
        notes: What is odd besides, a clause each.
    """
    official = "drawn" if source.validation is None else "official"
    mapped = "" if hasattr(data.train.images, "untyped_storage") else "read from the cache"
    parts = (
        source.layout,
        f"{len(source.classes):,} classes",
        f"{len(data.train.labels):,} images for training",
        f"{len(data.validation.labels):,} for validation ({official})",
        f"{held:,} for the test (drawn)" if source.test is None else "an official test split",
        mapped,
    )
    clauses = (", ".join(filter(None, parts)), *source.notes, *notes)
    return f"{source.name}: {'; '.join(clauses)}. {constant_answer(data)}"


def constant_answer(data: ImageData) -> str:
    """Return a summary of the constant answer: its error, with few images also the spread."""
    label = int(data.train.labels.bincount().argmax())
    n = len(data.validation.labels)
    error = data.constant_error
    spread = math.sqrt(error * (1 - error) / data.scored_images)
    coarse = (
        f", with a standard error of {spread:.1%}: {n} validation "
        f"images are few, so give more (--validation-fraction)"
    )
    return (
        f"Always answering {data.classes[label]!r} has a validation {data.metric} of {error:.1%}"
        f"{coarse if n < FEW else ''}.{_unequal(data)}"
    )


def _unequal(data: ImageData) -> str:
    """Return a hint where classes differ much in size and the error counts images alike."""
    sizes = data.class_sizes(data.train)
    if data.metric != "error" or sizes.max() < UNEQUAL * sizes.min():
        return ""
    return (
        f" Classes have {sizes.min():,} to {sizes.max():,} training images: --metric "
        "balanced-error counts classes alike."
    )


def duplicates(
    train: NDArray[np.int64], validation: NDArray[np.int64], test: NDArray[np.int64]
) -> tuple[str, ...]:
    """Return a summary of duplicates: images in two splits, by hashes of their bytes (n,)."""
    pairs = (
        ("validation", np.isin(validation, train).sum()),
        ("test", np.isin(test, np.concatenate([train, validation])).sum()),
    )
    return tuple(
        f"{n:,} of the {name} images {'is' if n == 1 else 'are'} also in another split, so the "
        f"{name} error is too low"
        for name, n in pairs
        if n
    )
