"""Listings of images by name and class, before any is decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from optuna_de._checks import require_utf8
from optuna_de.cnn.data.reading.images import DataError, ImageItem, NamedBytes

_SHOWN = 3  # names in a note
Stamps: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Listing of the images of a split, sorted by class and path where they are files.

    Args:
        folder: The folder of the files, or the file that holds the images.
        classes: Names of the classes.
        files: Paths relative to ``folder``, with "/" between; or names of rows.
        labels: The class of each image, an index.
        stamps: Bytes and modification time in nanoseconds of each file (-1 where it has none), or
            of the one file that holds all images.
        ignored: Paths of other files, and of folders without images.
        read: Gives an image by its index; None opens the files.
    """

    folder: Path
    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]
    stamps: Stamps
    ignored: tuple[str, ...] = ()
    read: Callable[[int], ImageItem | bytes] | None = None

    def item(self, i: int) -> ImageItem:
        """Return an image, not yet decoded."""
        if self.read is None:
            return self.folder / self.files[i]
        item = self.read(i)
        return NamedBytes(self.name(i), item) if isinstance(item, bytes) else item

    def name(self, i: int) -> str:
        """Return an image's name for messages."""
        return str(self.folder / self.files[i])


@dataclass(frozen=True, slots=True)
class FolderSplits:
    """A listing for each split.

    Args:
        layout: The layout in words.
        train: Images for training, and for the splits that have no folder.
        validation: The official validation split; None where there is none.
        test: The official test split; None where there is none.
        notes: What was left out, a clause each.
    """

    layout: str
    train: Listing
    validation: Listing | None = None
    test: Listing | None = None
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[Listing, ...]:
        """The listings that there are."""
        every = (self.train, self.validation, self.test)
        return tuple(part for part in every if part is not None)


def listing_of(
    folder: Path,
    files: Sequence[str],
    names: Sequence[str],
    classes: Sequence[str],
    stamps: Stamps,
    read: Callable[[int], ImageItem | bytes] | None = None,
) -> Listing:
    """Return a listing of images whose classes are given by name."""
    at = {name: i for i, name in enumerate(classes)}
    labels = tuple(at[name] for name in names)
    return Listing(folder, tuple(classes), tuple(files), labels, stamps, (), read)


def listed_splits(
    layout: str, train: Listing, parts: dict[str, Listing], notes: Sequence[str] = ()
) -> FolderSplits:
    """Return listed splits, whose classes are those of the training listing.

    Args:
        layout: The layout in words.
        train: The images for training.
        parts: The official splits: "validation", "test".
        notes: What was left out already.

    Raises:
        DataError: If a split has no class of the training images.
    """
    known, every_note = {}, list(notes)
    for part, listing in parts.items():
        known[part], note = with_classes(listing, train.classes, part)
        every_note += note
    return FolderSplits(layout, train, **known, notes=tuple(every_note))


def with_classes(
    listing: Listing, classes: tuple[str, ...], part: str
) -> tuple[Listing, list[str]]:
    """Return a listing with the classes of training; leave out what has none of them.

    Args:
        listing: The listing.
        classes: Names of the classes.
        part: The name of its split, for the notes that come with it.
    """
    at = {name: i for i, name in enumerate(classes)}
    names = [listing.classes[label] for label in listing.labels]
    kept = [i for i, name in enumerate(names) if name in at]
    if not kept:
        raise DataError(f"{listing.folder} holds no class of the training images.")
    labels = tuple(at[names[i]] for i in kept)
    present = set(names)
    absent = [repr(name) for name in classes if name not in present]
    notes = [f"the {part} split has no image of {shown(absent)}"] if absent else []
    if len(kept) == len(names):
        return replace(listing, classes=classes, labels=labels), notes
    whole, read = listing, listing.read
    known = replace(
        listing,
        classes=classes,
        files=tuple(listing.files[i] for i in kept),
        labels=labels,
        stamps=tuple(listing.stamps[i] for i in kept) if read is None else listing.stamps,
        read=None if read is None else lambda i: whole.item(kept[i]),
    )
    unknown = shown([repr(name) for name in listing.classes if name not in at])
    left = count(len(names) - len(kept), "image")
    return known, [f"{left} of the {part} split left out, as train lacks {unknown}", *notes]


def count(number: int, noun: str) -> str:
    """Return the count of a listing in words: "1 image", "2 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shown(names: Sequence[str]) -> str:
    """Return the first names of a listing, with dots for more."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def stamp_of(path: Path | os.DirEntry[str]) -> tuple[int, int]:
    """Return the stamp of a listing: bytes and time in nanoseconds, -1 where it has none."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def check_name(name: str, folder: Path) -> None:
    """Check a name of a listing: it must be UTF-8, as all results are.

    Raises:
        DataError: If it is not.
    """
    try:
        require_utf8(name)
    except ValueError as error:
        raise DataError(
            f"The name {name!r} in the folder {str(folder)!r} is not valid UTF-8; rename it."
        ) from error
