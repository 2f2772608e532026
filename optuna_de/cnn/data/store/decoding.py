"""Decoding of labelled images and headers into a store."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from optuna_de.cnn.data.reading.images import (
    DataError,
    decode,
    digest,
    loaded,
    quiet_pillow,
    read_header,
)
from optuna_de.cnn.data.reading.listing import Listing, shown
from optuna_de.cnn.data.reading.resizing import Resizing, size_text
from optuna_de.cnn.data.store.cache import Arrays, cached, write_log
from optuna_de.cnn.data.store.image_store import ImageStore, Shard, stored_images

# Its own lock is a semaphore, which Python reports as leaked when a worker ends by os._exit.
tqdm.set_lock(RLock())

_FORMAT = 3  # of the entries of the cache and of the way of decoding
_CHUNK = 64
_PATIENCE = 2.0  # seconds before progress is shown
T = TypeVar("T")


class SizeError(DataError):
    """Decoding gave another size than the header, which no skipping mends."""


@dataclass(frozen=True, eq=False, slots=True)
class Headers:
    """Headers of images, before decoding.

    Args:
        shapes: Height, width and channels of each image as decoded, int64 (n, 3).
        digests: A hash of the bytes of each image, int64 (n,).
        good: Whether the header can be read, bool (n,).
    """

    shapes: NDArray[np.int64]
    digests: NDArray[np.int64]
    good: NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Labelled:
    """Labelled images after decoding.

    Args:
        store: The images.
        rows: Which rows of the store are used, int64 (n,).
        labels: Indices of classes, int64 (n,).
        digests: A hash of the bytes of each image, int64 (n,); empty where it is unknown.
        names: Names of the images for messages; empty where they have none.
        notes: What is odd, a clause each.
    """

    store: ImageStore
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    digests: NDArray[np.int64]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Labelled:
        """Return labelled images (n, h, w, c) that are in memory."""
        rows = np.arange(len(labels))
        return cls(ImageStore(images, (), Path()), rows, labels, rows[:0])


def load_images(
    listing: Listing,
    resizing: Resizing,
    shape: Sequence[int],
    headers: Headers,
    max_bad_images: float = 0.0,
) -> Labelled:
    """Load labelled images by decoding them into a store, where they are not there yet.

    Args:
        listing: What to load.
        resizing: How to bring images to one size.
        shape: Height, width and channels (h, w, c) that the images will have.
        headers: What :func:`load_headers` told.
        max_bad_images: Share of the images, in [0, 1], that may be unreadable and are skipped.

    Raises:
        DataError: If more images cannot be read, or one has another size or colours.
    """
    n, (height, width, channels) = len(listing.labels), shape
    content = [*_content(listing), "pixels", _resizing_key(resizing)]
    with tqdm(
        total=n, desc="Decoding", unit=" images", delay=_PATIENCE, disable=None, leave=False
    ) as bar:

        def fill(rows: NDArray[np.uint8], start: int) -> Shard:
            return _fill(listing, resizing, rows, start, bar.update)

        store = stored_images(content, (n, height, width, channels), fill)
    notes = check_bad(listing, store.bad, max_bad_images, store.entry)
    good = np.setdiff1d(np.arange(n), np.array(list(store.bad), np.int64))
    if flat := [repr(listing.files[i]) for i in store.flat]:
        notes += (f"{len(flat):,} of {n:,} images have one colour only ({shown(flat)})",)
    labels = np.array(listing.labels, np.int64)[good]
    names = tuple(listing.files[i] for i in good)
    return Labelled(store, good, labels, headers.digests[good], names, notes)


def _resizing_key(resizing: Resizing) -> list[Any]:
    return [resizing.size, resizing.mode, resizing.background]


def _fill(
    listing: Listing,
    resizing: Resizing,
    rows: NDArray[np.uint8],
    start: int,
    progress: Callable[[int], object],
) -> Shard:
    """Decode images from an index on into rows (b, h, w, c)."""

    def one(i: int) -> None:
        pixels = decode(listing.item(start + i), resizing)
        if pixels.shape[:2] != rows.shape[1:3]:
            raise SizeError(
                f"{listing.name(start + i)} has {size_text(pixels.shape)} pixels, but its header "
                f"says {size_text(rows.shape[1:3])}."
            )
        if pixels.shape[2] > rows.shape[3]:
            raise coloured(listing)
        rows[i] = pixels

    with quiet_pillow():
        _, bad = _each(one, len(rows), progress)
    flat = np.flatnonzero((rows == rows[:, :1, :1]).all(axis=(1, 2, 3)))
    flat = start + np.setdiff1d(flat, list(bad))
    return Shard({start + i: why for i, why in bad.items()}, tuple(flat.tolist()))


def load_headers(listing: Listing, max_bad_images: float) -> Headers:
    """Load headers of images before decoding; through the cache.

    Raises:
        DataError: If too many cannot be read.
    """
    n = len(listing.labels)

    def make() -> Arrays:
        def one(i: int) -> tuple[int, ...]:
            item = loaded(listing.item(i))
            return (*read_header(item), digest(item))

        with (
            quiet_pillow(),
            tqdm(
                total=n, desc="Headers", unit=" images", delay=_PATIENCE, disable=None, leave=False
            ) as bar,
        ):
            rows, bad = _each(one, n, bar.update)
        table = np.array([row or (0, 0, 0, 0) for row in rows], np.int64).reshape(n, 4)
        return {"headers": table, "bad": np.array(json.dumps(bad))}

    def right(arrays: Arrays) -> bool:
        json.loads(str(arrays["bad"]))
        return arrays["headers"].dtype == np.int64 and arrays["headers"].shape == (n, 4)

    arrays, entry = cached([*_content(listing), "headers"], right, make)
    bad = {int(i): str(why) for i, why in json.loads(str(arrays["bad"])).items()}
    check_bad(listing, bad, max_bad_images, entry)
    good = np.array([i not in bad for i in range(n)])
    return Headers(arrays["headers"][:, :3], arrays["headers"][:, 3], good)


def _content(listing: Listing) -> list[Any]:
    return [_FORMAT, str(listing.folder.resolve()), listing.files, listing.stamps]


def _each(
    job: Callable[[int], T], n: int, progress: Callable[[int], object]
) -> tuple[list[T | None], dict[int, str]]:
    """Run a job for each image on every core; return results, and the errors by index."""
    bad: dict[int, str] = {}

    def attempt(i: int) -> T | None:
        try:
            return job(i)
        except SizeError:
            raise
        except DataError as error:
            bad[i] = str(error)
            return None

    def chunk(start: int) -> list[T | None]:
        return [attempt(i) for i in range(start, min(start + _CHUNK, n))]

    results: list[T | None] = []
    with ThreadPoolExecutor() as pool:  # a future for each small image costs as much as it does
        for rows in pool.map(chunk, range(0, n, _CHUNK)):
            results += rows
            progress(len(rows))
    return results, dict(sorted(bad.items()))


def check_bad(
    listing: Listing, bad: Mapping[int, str], max_bad_images: float, entry: Path
) -> tuple[str, ...]:
    """Return a note about the images that are skipped; name them in a log.

    Raises:
        DataError: If they are more than the share allows.
    """
    if not bad:
        return ()
    n, first = len(listing.files), next(iter(bad.values()))
    where = write_log(entry, list(bad.values()))
    if len(bad) > max_bad_images * n or len(bad) == n:
        raise DataError(
            f"{first[:-1]}; {len(bad):,} of {n:,} images in {listing.folder} cannot be used, but "
            f"max_bad_images (--max-bad-images) allows {max_bad_images:.1%}; they are {where}."
        )
    return (f"{len(bad):,} of {n:,} images in {listing.folder.name}/ unreadable, {where}",)


def coloured(listing: Listing) -> SizeError:
    """Return the error of a split with colours where the training images have none."""
    return SizeError(f"{listing.folder} holds coloured images, but the training images are grey.")
