"""Array files of NumPy: images and labels in one ``.npz``, or in pairs of ``.npy``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_de.cnn.data.reading.arrays import as_images, as_labels
from optuna_de.cnn.data.reading.image_folder import SPLITS
from optuna_de.cnn.data.reading.images import DataError
from optuna_de.cnn.data.reading.listing import (
    FolderSplits,
    Listing,
    Stamps,
    listed_splits,
    listing_of,
    stamp_of,
)
from optuna_de.cnn.data.reading.tables import Columns

_IMAGES = ("images", "image", "x", "data")
_LABELS = ("labels", "label", "y", "targets", "target")
_CLASSES = ("classes", "class_names", "label_names")


def array_files(root: Path, columns: Columns) -> FolderSplits | None:
    """List the arrays of a ``.npz`` file, or of the ``.npy`` files of a folder.

    Arrays are called ``images`` and ``labels``, or ``x`` and ``y``; ``train_images``, ``x_test``
    and so on are of a split. ``classes`` names the classes.
    """
    if root.is_file():
        return _listed(root, [root]) if root.suffix.lower() == ".npz" else None
    archives = sorted(root.glob("*.npz"))
    if len(archives) > 1:
        raise DataError(
            f"{root} holds {archives[0].name!r} and {archives[1].name!r}; give one as --data."
        )
    files = archives or sorted(root.glob("*.npy"))
    return _listed(root, files) if files else None


def _listed(root: Path, files: list[Path]) -> FolderSplits | None:
    arrays = _open(files)
    pairs = {part: _pair(arrays, part) for part in SPLITS}
    whole = pairs["train"] or _pair(arrays, "")
    if whole is None:
        known = ", ".join(arrays)
        raise DataError(
            f"{root} holds the arrays {known}, but must hold images and labels, or x and y, of "
            "train at least."
        )
    stamps = tuple(stamp_of(file) for file in files)
    names = [name for name in arrays if name.lower() in _CLASSES]
    classes = _texts(arrays[names[0]]()) if names else None
    listings = {
        part: _rows(files[0] if len(files) == 1 else root, pair, classes, stamps)
        for part, pair in {**pairs, "train": whole}.items()
        if pair is not None
    }
    kind = "an .npz file" if files[0].suffix.lower() == ".npz" else ".npy files"
    return listed_splits(f"{kind} of arrays", listings.pop("train"), listings)


def _open(files: list[Path]) -> dict[str, Callable[[], NDArray[Any]]]:
    """Return what loads each array, by name; ``.npy`` files stay on the disk."""

    def load(path: Path, name: str | None) -> NDArray[Any]:
        try:
            if name is None:
                return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
            with np.load(path, allow_pickle=False) as archive:
                return archive[name]  # type: ignore[no-any-return]
        except Exception as error:  # NumPy and zipfile raise anything of a damaged file
            raise DataError(f"The arrays of {path} cannot be read: {error}") from error

    if files[0].suffix.lower() == ".npy":
        return {file.stem: lambda file=file: load(file, None) for file in files}  # type: ignore[misc]
    try:
        with np.load(files[0], allow_pickle=False) as archive:
            names = archive.files
    except Exception as error:
        raise DataError(f"The arrays of {files[0]} cannot be read: {error}") from error
    return {name: lambda name=name: load(files[0], name) for name in names}  # type: ignore[misc]


def _texts(values: NDArray[Any]) -> tuple[str, ...]:
    return tuple(map(str, values.tolist()))


def _pair(
    arrays: Mapping[str, Callable[[], NDArray[Any]]], part: str
) -> tuple[Callable[[], NDArray[Any]], Callable[[], NDArray[Any]]] | None:
    """Return the loaders of images and labels of a split; "" is the whole."""
    splits = SPLITS[part] if part else ("",)
    lower = {name.lower(): load for name, load in arrays.items()}

    def find(nouns: tuple[str, ...]) -> Callable[[], NDArray[Any]] | None:
        spelt = [f"{s}_{n}" for s in splits for n in nouns] + [
            f"{n}_{s}" for s in splits for n in nouns
        ]
        return next((lower[name.strip("_")] for name in spelt if name.strip("_") in lower), None)

    images, labels = find(_IMAGES), find(_LABELS)
    return None if images is None or labels is None else (images, labels)


def _rows(
    path: Path, pair: tuple[Callable[[], Any], Callable[[], Any]], classes: Any, stamps: Stamps
) -> Listing:
    """Return the images of a pair of arrays as a listing."""
    images = as_images(pair[0]())
    if images.shape[3] not in (1, 3):
        raise DataError(f"{path} holds images of {images.shape[3]} channels, but must of 1 or 3.")
    labels = np.asarray(pair[1]())
    if labels.ndim == 2 and labels.shape[1] == 1:  # Keras and MedMNIST keep columns
        labels = labels[:, 0]
    indices, names = as_labels(labels, len(images), classes)
    rows = [f"image {i}" for i in range(len(indices))]
    return listing_of(path, rows, [names[i] for i in indices], names, stamps, lambda i: images[i])
