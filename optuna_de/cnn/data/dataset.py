"""Images and labels, in memory or mapped from files: splits, fingerprint and moments."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optuna_de._checks import require
from optuna_de._machine import machine_memory
from optuna_de.cnn.data.reading.arrays import Channels, as_images, as_labels, read_dataset
from optuna_de.cnn.data.reading.resizing import ResizeMode, Resizing, Size
from optuna_de.cnn.data.splits import Indices, divide
from optuna_de.cnn.data.store.cache import Arrays, cached
from optuna_de.cnn.data.store.decoding import Labelled
from optuna_de.cnn.data.store.mapped_images import Images, MappedImages, blocks
from optuna_de.cnn.metrics import METRICS, Metric, get_metric

_SHARE = "above 0 and below 1"
CARD_SHARE = 0.5
"""Share of the free memory of a card up to which a set is kept whole."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels.

    Args:
        images: uint8 (n, c, h, w), in the memory format channels_last; or such images mapped
            from files.
        labels: int64 (n,), indices of classes.
    """

    images: Images
    labels: Tensor

    def to(self, device: torch.device | str) -> Split:
        """Return the split on a device; images that do not fit there stay where they are."""
        labels, place = self.labels.to(device), torch.device(device)
        if place.type == "cpu" or not fits_card(math.prod(self.images.shape), place):
            return Split(self.images, labels)
        whole = self.images.load() if isinstance(self.images, MappedImages) else self.images
        return Split(whole.to(place), labels)


def fits_card(size: int, device: torch.device) -> bool:
    """Tell whether images of that many bytes may be kept whole on a device."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return size <= CARD_SHARE * free


@dataclass(frozen=True, eq=False)
class ImageData:
    """What the objective may see of a set: no test split.

    Args:
        name: "digits", "CIFAR10", or the folder's name.
        classes: Names of the classes, two or more.
        train: What networks are trained on.
        validation: What they are scored on.
        mean: Mean of each channel (c,) of the training split, images in [0, 1].
        std: Deviation of each channel (c,), above 0; 1 for a channel that never varies.
        split_seed: The seed of the splits.
        fingerprint: 16 hexadecimal digits of the SHA-256 of images, labels, classes and splits.
        summary: The source and its splits in one sentence; it depends on this machine's paths.
        resizing: How images were resized, as a model has to resize those that it is asked.
        metric: What counts as the error, see :data:`optuna_de.cnn.metrics.METRICS`.
        weigh_classes: Whether the training loss weighs images so that classes count alike.

    Raises:
        ValueError: If images, labels or metric are wrong.

    Example:
        >>> data = load_data("digits")  # or ImageData.from_arrays, ImageData.from_dataset
        >>> data.image_shape, len(data.classes), len(data.train.labels)
        ((1, 8, 8), 10, 1294)
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    split_seed: int
    fingerprint: str
    summary: str = ""
    resizing: Resizing = Resizing()  # noqa: RUF009 (it is frozen)
    metric: str = "error"
    weigh_classes: bool = False

    def __post_init__(self) -> None:
        get_metric(self.metric)
        shape = tuple(self.train.images.shape[1:])
        for name in ("train", "validation"):
            _check_split(getattr(self, name), name, shape, len(self.classes))

    @classmethod
    def from_arrays(
        cls,
        images: object,
        labels: object,
        *,
        classes: Sequence[str] | None = None,
        channels: Channels | None = None,
        name: str = "arrays",
        validation_fraction: float = 0.1,
        split_seed: int = 0,
        metric: str = "error",
        weigh_classes: bool = False,
    ) -> ImageData:
        """Return a set of arrays; images for a test stay with the caller.

        Args:
            images: Whole numbers in [0, 255] of shape (n, h, w), (n, h, w, c) or (n, c, h, w).
            labels: Indices of classes, 0 to k - 1, or names of classes, of shape (n,).
            classes: Names of the k classes; None names them by their labels.
            channels: "first" or "last"; None recognises 1 or 3 channels.
            name: The set's name in a study.
            validation_fraction: Part of the images to score on, above 0 and below 1.
            split_seed: Seed of the splits, in [0, 2**32 - 1].
            metric: What counts as the error: "error", "balanced-error" or "macro-f1-error".
            weigh_classes: Whether the training loss weighs classes so that they count alike.

        Raises:
            ValueError: If anything is wrong with these.

        Example:
            >>> digits = sklearn.datasets.load_digits()
            >>> images = (digits.images * 255 / 16).astype("uint8")
            >>> data = ImageData.from_arrays(images, digits.target, name="digits")
        """
        require(0 < validation_fraction < 1, "validation_fraction", validation_fraction, _SHARE)
        require(0 <= split_seed < 2**32, "split_seed", split_seed, "in [0, 2**32 - 1]")
        pixels = as_images(images, channels)
        indices, names = as_labels(labels, len(pixels), classes)
        taken = round(validation_fraction * len(pixels))
        what = f"validation_fraction {validation_fraction}"
        pool = np.arange(len(pixels))
        parts = divide(pool, indices, names, taken, split_seed, what)
        whole = Labelled.of(pixels, indices)
        data = image_data(name, names, [(whole, chosen) for chosen in parts], split_seed)
        return replace(data, metric=metric, weigh_classes=weigh_classes)

    @classmethod
    def from_dataset(
        cls,
        dataset: object,
        *,
        image_size: int | Size | None = None,
        resize: ResizeMode = "crop",
        image_column: str | None = None,
        label_column: str | None = None,
        name: str | None = None,
        validation_fraction: float = 0.1,
        split_seed: int = 0,
        metric: str = "error",
        weigh_classes: bool = False,
    ) -> ImageData:
        """Return the images of a ``torch.utils.data.Dataset``, or one of Hugging Face, as a set.

        Args:
            dataset: Gives an image (of Pillow, or an array as :meth:`from_arrays` takes it) and a
                label, as a pair or a mapping. Transforms that give floats are refused.
            image_size: Side, or height and width, to bring Pillow's images to; None leaves them.
            resize: "crop", "pad" or "squash".
            image_column: Name of the image in a mapping; None takes the only one.
            label_column: Name of the label in a mapping; None takes the only whole number.
            name: The set's name in a study; None is the name of the class of ``dataset``.
            validation_fraction: As in :meth:`from_arrays`.
            split_seed: As in :meth:`from_arrays`.
            metric: As in :meth:`from_arrays`.
            weigh_classes: As in :meth:`from_arrays`.

        Raises:
            ValueError: If anything is wrong with these.

        Example:
            >>> flowers = torchvision.datasets.Flowers102("data", download=True)
            >>> data = ImageData.from_dataset(flowers, image_size=64)
        """
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        columns = image_column, label_column
        images, labels, classes = read_dataset(dataset, Resizing(size, resize), *columns)
        return cls.from_arrays(
            images,
            labels,
            classes=classes,
            channels="last",
            name=name or type(dataset).__name__,
            validation_fraction=validation_fraction,
            split_seed=split_seed,
            metric=metric,
            weigh_classes=weigh_classes,
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width (c, h, w)."""
        _, c, h, w = self.train.images.shape
        return c, h, w

    @property
    def constant_error(self) -> float:
        """The validation error of always answering the commonest class of the training split."""
        commonest = int(self.train.labels.bincount().argmax())
        return self.scored_by.of_constant(self.class_sizes(self.validation), commonest)

    @property
    def scored_by(self) -> Metric:
        """What counts as the error."""
        return METRICS[self.metric]

    @property
    def scored_images(self) -> int:
        """How many images of equally large classes tell the error as well as the validation's."""
        return round(self.scored_by.images(self.class_sizes(self.validation)))

    def class_sizes(self, split: Split) -> NDArray[np.int64]:
        """Return the images of each class in a split: (classes,)."""
        return split.labels.cpu().bincount(minlength=len(self.classes)).numpy()

    def to(self, device: torch.device | str) -> ImageData:
        """Return the set with its images and labels on a device."""
        return replace(self, train=self.train.to(device), validation=self.validation.to(device))


def _check_split(split: Split, name: str, shape: Sequence[int], classes: int) -> None:
    """Check types and ranges; mistakes here train without an error, on nonsense.

    Raises:
        ValueError: If one is wrong.
    """
    images, labels = split.images, split.labels
    kind = f"{name} images"
    require(images.dtype == torch.uint8, kind, images.dtype, "torch.uint8 in [0, 255]")
    right = images.ndim == 4 and tuple(images.shape[1:]) == shape
    require(right, kind, tuple(images.shape), f"of the shape (n, c, h, w) of {tuple(shape)}")
    require(labels.dtype == torch.int64, f"{name} labels", labels.dtype, "torch.int64")
    right = tuple(labels.shape) == tuple(images.shape[:1]) and len(labels) > 0
    require(right, f"{name} labels", tuple(labels.shape), f"of the shape ({len(images)},)")
    if labels.device.type != "meta":
        ends = int(labels.min()), int(labels.max())
        right = ends[0] >= 0 and ends[1] < classes
        require(right, f"{name} labels", ends, f"in [0, {classes - 1}]")


def make_split(labelled: Labelled, chosen: Indices, mapped: bool = False) -> Split:
    """Return the chosen of labelled images as a split, in memory or mapped from their file."""
    labels, rows = torch.from_numpy(labelled.labels[chosen]), labelled.rows[chosen]
    images = MappedImages([labelled.store], np.zeros(len(rows), np.int64), rows)
    return Split(images if mapped else images.load(), labels)


def is_large(labelled: Labelled, images: int, share: float) -> bool:
    """Tell whether images of a file are better mapped than kept in memory.

    Args:
        labelled: Images like all others.
        images: Their number.
        share: Share of the free memory, in [0, 1], that all workers may keep.
    """
    memory = machine_memory()
    if labelled.store.file is None or memory is None:
        return False
    size = images * math.prod(labelled.store.images.shape[1:])
    return size * (os.cpu_count() or 1) > share * memory[0]


def image_data(
    name: str,
    classes: tuple[str, ...],
    parts: Sequence[tuple[Labelled, Indices]],
    seed: int,
    mapped: bool = False,
) -> ImageData:
    """Return a set of two parts: labelled images, and which of them."""
    splits = [make_split(labelled, chosen, mapped) for labelled, chosen in parts]
    known = _describe(classes, parts, splits, mapped)
    return ImageData(
        name=name,
        classes=classes,
        train=splits[0],
        validation=splits[1],
        mean=tuple(known["moments"][0].tolist()),
        std=tuple(known["moments"][1].tolist()),
        split_seed=seed,
        fingerprint=str(known["fingerprint"]),
    )


def _describe(
    classes: tuple[str, ...],
    parts: Sequence[tuple[Labelled, Indices]],
    splits: Sequence[Split],
    mapped: bool,
) -> Arrays:
    """Return moments and fingerprint; of mapped images through the cache: each reads them all."""
    indices = [chosen for _, chosen in parts]

    def make() -> Arrays:
        whole = fingerprint(classes, [(s.images, s.labels) for s in splits], indices)
        return {
            "moments": np.array(moments(splits[0].images)),
            "fingerprint": np.array(whole),
        }

    digests = [labelled.store.digest for labelled, _ in parts]
    if not mapped or not all(digests):
        return make()
    rows = [
        hashlib.sha256(array.astype("<i8").tobytes()).hexdigest()
        for (labelled, chosen), split in zip(parts, splits, strict=True)
        for array in (labelled.rows[chosen], split.labels.numpy(), chosen)
    ]
    channels = splits[0].images.shape[1]
    content = ["moments and fingerprint", classes, digests, rows]
    return cached(content, lambda entry: entry["moments"].shape == (2, channels), make)[0]


def moments(*parts: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of each channel of uint8 images (n, c, h, w), as of [0, 1].

    Exact, from the counts of the 256 values; the deviation of a channel that never varies is 1.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    totals = torch.zeros(parts[0].shape[1], 256, dtype=torch.float64)
    for block in (block for part in parts for block in blocks(part)):
        for channel, pixels in enumerate(block.unbind(1)):
            totals[channel] += torch.bincount(pixels.reshape(-1), minlength=256)
    means, stds = [], []
    for counts in totals:
        mean = (counts @ values / counts.sum()).item()
        variance = (counts @ (values - mean) ** 2 / counts.sum()).item()
        means.append(mean)
        stds.append(math.sqrt(variance) if int((counts > 0).sum()) > 1 else 1.0)
    return tuple(means), tuple(stds)


def fingerprint(
    classes: Sequence[str],
    splits: Sequence[tuple[Images, Tensor]],
    indices: Sequence[NDArray[np.int64]],
) -> str:
    """Return 16 hexadecimal digits that tell sets and their splits apart.

    Args:
        classes: Names of the classes.
        splits: Images uint8 (n, c, h, w) and labels int64 (n,) of each split.
        indices: Where in the set the images of each split lie, int64 (n,).
    """
    digest = hashlib.sha256(json.dumps(classes).encode())
    for (images, labels), chosen in zip(splits, indices, strict=True):
        digest.update(json.dumps(images.shape).encode())
        for block in blocks(images):
            digest.update(block.permute(0, 2, 3, 1).contiguous().numpy().data)
        digest.update(labels.numpy().astype("<i8").tobytes())
        digest.update(chosen.astype("<i8").tobytes())
    return digest.hexdigest()[:16]
