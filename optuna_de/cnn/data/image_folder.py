"""Folders of images as arrays: listing ``folder/<class>/`` and decoding, once.

Knows files and NumPy arrays: neither splits nor torch.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optuna_de._files import replacing
from optuna_de.cnn.data.images import SUFFIXES, DataError, decode

_logger = logging.getLogger(__name__)
_FORMAT = 1  # of the cache file and of the way of decoding
_CHUNK = 64


class Labelled(NamedTuple):
    """Images uint8 (n, h, w, c) and their labels int64 (n,), indices of classes."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Listing:
    """The image files of a folder, sorted by class and name.

    Args:
        folder: The folder that holds one folder a class.
        classes: Names of the classes, sorted.
        files: Paths relative to ``folder``, with "/" between.
        labels: The class of each file, an index.
        stamps: Bytes and modification time in nanoseconds of each file.
    """

    folder: Path
    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]
    stamps: tuple[tuple[int, int], ...]


def list_images(folder: Path) -> Listing:
    """List ``folder/<class>/*`` of the known suffixes; names that start with a dot do not count.

    Raises:
        DataError: Where there are fewer than two classes, or a class without images.
    """
    classes = sorted(entry.name for entry in _visible(folder) if entry.is_dir())
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no folders of classes"
        raise DataError(
            f"{folder} holds {found}, but there must be two or more, each a folder of images."
        )
    found_files = [(c, *row) for c, name in enumerate(classes) for row in _of_class(folder, name)]
    labels, files, stamps = zip(*found_files, strict=True)
    return Listing(folder, tuple(classes), files, labels, stamps)


def _of_class(folder: Path, name: str) -> list[tuple[str, tuple[int, int]]]:
    """Return name and stamp of each image of a class."""
    files = [
        entry
        for entry in _visible(folder / name)
        if Path(entry.name).suffix.lower() in SUFFIXES and not entry.is_dir()
    ]
    if not files:
        known = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise DataError(f"The class folder {folder / name} holds no images ({known}).")
    try:
        stats = [(f"{name}/{entry.name}", entry.stat()) for entry in files]
    except OSError as error:  # a link to nowhere
        raise DataError(f"An image cannot be read: {error}.") from error
    return sorted((file, (stat.st_size, stat.st_mtime_ns)) for file, stat in stats)


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def load_images(
    listing: Listing, image_size: int | None, like: Sequence[int] | None = None
) -> Labelled:
    """Return the images of a listing, from the cache beside the folder where it is still true.

    Args:
        listing: What to load.
        image_size: Side to resize the smaller side to, then crop about the centre; None takes
            the images as they are.
        like: Height, width and channels (h, w, c) that the images must have; None takes the size
            of the first, and one channel where all are grey, else three.

    Raises:
        DataError: Where an image cannot be read or has another size.
    """
    root = listing.folder.parent
    side = "" if image_size is None else f"-{image_size}"
    path = root / f".optuna_de-{listing.folder.name}{side}.npz"
    shape = None if like is None else list(like)
    content = [_FORMAT, listing.files, listing.stamps, image_size, shape]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    images = read_cache(path, key, len(listing.files))
    if images is None:
        images = _decode_all(listing, image_size, like)
        write_cache(path, key, images)
    return Labelled(images, np.array(listing.labels, np.int64))


def _decode_all(
    listing: Listing, image_size: int | None, like: Sequence[int] | None
) -> NDArray[np.uint8]:
    """Decode into one array (n, h, w, c)."""
    paths = [listing.folder / file for file in listing.files]
    height, width = like[:2] if like else decode(paths[0], image_size).shape[:2]
    images = np.empty((len(paths), height, width, 3), np.uint8)

    def fill(i: int) -> bool:
        pixels = decode(paths[i], image_size)
        if pixels.shape[:2] != (height, width):
            other = "the training images have" if like else f"{paths[0]} has"
            raise DataError(
                f"{paths[i]} has {pixels.shape[1]}x{pixels.shape[0]} pixels where {other} "
                f"{width}x{height}; give image_size (--image-size) to bring all to one size."
            )
        images[i] = pixels
        return bool(pixels.shape[2] == 1)

    def fill_chunk(start: int) -> bool:
        greys = [fill(i) for i in range(start, min(start + _CHUNK, len(paths)))]
        return all(greys)

    with ThreadPoolExecutor() as pool:  # a future for each small image costs as much as it does
        grey = all(list(pool.map(fill_chunk, range(0, len(paths), _CHUNK))))
    if like and like[2] == 1 and not grey:
        raise DataError(
            f"{listing.folder} holds coloured images, but the training images are grey."
        )
    return images[..., :1].copy() if (like[2] == 1 if like else grey) else images


def read_cache(path: Path, key: str, n: int) -> NDArray[np.uint8] | None:
    """Return the cached images (n, h, w, c), or None where there are none for that key."""
    if not path.exists():
        return None
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is torn")
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            images: NDArray[np.uint8] = stored["images"]
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != n:
            raise ValueError("it holds something else")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _logger.warning("The cache %s is ignored and the images decoded anew: %s.", path, error)
        return None
    return images


def write_cache(path: Path, key: str, images: NDArray[np.uint8]) -> None:
    """Write a cache in one step: a reader sees the old file or the new one."""
    try:
        with replacing(path) as draft, draft.open("xb") as file:
            np.savez(file, key=np.array(key), images=images)
    except OSError as error:
        _logger.warning("No cache is kept, so every start decodes the images: %s.", error)
