"""Where image sets come from: scikit-learn's digits, torchvision's sets, folders.

Knows how to get labelled arrays; the splits are :mod:`optuna_de.cnn.data.loading`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from optuna_de.cnn.data.image_folder import Labelled, check_name, list_images, load_images
from optuna_de.cnn.data.images import DataError, fit

TORCHVISION = ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "SVHN")
NAMES = ("digits", *TORCHVISION)


@dataclass(frozen=True, slots=True)
class Source:
    """A set before it is split.

    Args:
        name: Name of the set.
        classes: Names of the classes.
        train: All images that are not an official test split.
        test: Loads the official test split; None where there is none.
    """

    name: str
    classes: tuple[str, ...]
    train: Labelled
    test: Callable[[], Labelled] | None


def open_source(
    source: str | Path, data_dir: Path | None, download: bool, image_size: int | None
) -> Source:
    """Return the set of that name (whatever the case), else the one in that folder.

    Raises:
        DataError: Where there is none, or it cannot be read.
    """
    known = {name.lower(): name for name in NAMES}
    name = known.get(source.lower()) if isinstance(source, str) else None
    if name is None:
        return _folder(_existing(source), image_size)
    found = _digits() if name == "digits" else _torchvision(name, data_dir, download)
    return found if image_size is None else _resized(found, image_size)


def _existing(source: str | Path) -> Path:
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise DataError(
            f"{path} is a file, but the data must be a folder that holds train/<class>/."
        )
    if isinstance(source, Path) or os.sep in source or "/" in source:
        raise DataError(f"There is no folder {path}.")
    raise DataError(
        f"There is no data set or folder {source!r}; choose from {', '.join(NAMES)}, or give the "
        f"path of a folder that holds train/<class>/."
    )


def _folder(root: Path, image_size: int | None) -> Source:
    if not (root / "train").is_dir():
        raise DataError(f"The folder {root} holds no folder train with one folder a class.")
    listing = list_images(root / "train")
    name = root.resolve().name
    check_name(name, root.resolve().parent)
    if not (root / "test").is_dir():
        return Source(name, listing.classes, load_images(listing, image_size), None)
    other = list_images(root / "test")
    if other.classes != listing.classes:
        odd = sorted(set(other.classes) ^ set(listing.classes))
        raise DataError(
            f"{root / 'train'} and {root / 'test'} must hold the same classes, but only one of "
            f"them has {', '.join(map(repr, odd))}."
        )
    train = load_images(listing, image_size)
    shape = train.images.shape[1:]
    return Source(name, listing.classes, train, lambda: load_images(other, image_size, shape))


def _digits() -> Source:
    """Return scikit-learn's digits: 1,797 images of 8x8 with values 0..16, brought to 0..255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images[..., None] * (255 / 16)).astype(np.uint8)
    train = Labelled(images, bunch.target.astype(np.int64))
    return Source("digits", tuple(map(str, bunch.target_names)), train, None)


def _torchvision(name: str, data_dir: Path | None, download: bool) -> Source:
    root = Path("data") if data_dir is None else data_dir

    def load(part: str) -> Any:
        return _torchvision_set(name, root, part, download)

    train = load("train")
    classes = tuple(map(str, getattr(train, "classes", range(10))))  # SVHN has no names
    return Source(name, classes, _labelled(train), lambda: _labelled(load("test")))


def _torchvision_set(name: str, root: Path, part: str, download: bool) -> Any:
    from torchvision import datasets

    which = {"split": part} if name == "SVHN" else {"train": part == "train"}
    try:
        return getattr(datasets, name)(root=str(root), download=download, **which)
    except Exception as error:  # torn files make torchvision raise anything
        if download:
            raise DataError(f"{name} could not be downloaded to {root}: {error}") from error
        raise DataError(
            f"{name} is not whole in the folder {root}; give --download to fetch it, or "
            f"--data-dir with the folder that holds it."
        ) from error


def _labelled(found: Any) -> Labelled:
    images = np.asarray(found.data)
    if images.ndim == 3:  # MNIST: (n, h, w)
        images = images[..., None]
    elif images.shape[1] == 3:  # SVHN: (n, c, h, w)
        images = images.transpose(0, 2, 3, 1)
    labels = found.labels if hasattr(found, "labels") else found.targets
    if len(images) != len(labels):
        raise DataError(f"{type(found).__name__} has {len(images)} images, {len(labels)} labels.")
    return Labelled(images, np.asarray(labels, np.int64))


def _resized(source: Source, image_size: int) -> Source:
    def resize(part: Labelled) -> Labelled:
        plain = (Image.fromarray(i[..., 0] if i.shape[2] == 1 else i) for i in part.images)
        return part._replace(images=np.stack([fit(image, image_size) for image in plain]))

    test = source.test
    return replace(
        source, train=resize(source.train), test=None if test is None else lambda: resize(test())
    )
