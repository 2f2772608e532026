"""Folders of images: splits, classes and files by the names of folders. No file is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from optuna_de.cnn.data.reading.images import SUFFIXES, DataError
from optuna_de.cnn.data.reading.listing import (
    FolderSplits,
    Listing,
    check_name,
    listed_splits,
    stamp_of,
)

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Names of the folders of a split, whatever the case."""
_JUNK = ("__MACOSX",)  # made by archive programs; names that start with a dot never count


def split_folders(root: Path) -> FolderSplits | None:
    """List ``train/<class>/``, with folders for validation and test if there are any."""
    folders = {part: folder_of(root, part) for part in SPLITS}
    train = folders.pop("train")
    if train is None:
        return None
    listings = {
        part: list_images(folder) for part, folder in folders.items() if folder is not None
    }
    parts = {part: listing for part, listing in listings.items() if listing.files}
    empty = [
        f"{listing.folder.name}/ ignored, as it has no folders of images"
        for listing in listings.values()
        if not listing.files
    ]
    names = ", ".join([f"{train.name}/", *(f"{part.folder.name}/" for part in parts.values())])
    return listed_splits(f"folders {names}", list_images(train), parts, empty)


def class_folders(root: Path) -> FolderSplits | None:
    """List ``<class>/``; the splits are drawn."""
    listing = list_images(root)
    if not listing.files:
        return None
    splits = {name for names in SPLITS.values() for name in names}
    for name in listing.classes:
        if name.lower() in splits:
            raise DataError(
                f"{root} holds the folder {name!r} beside folders of classes; move the classes "
                "to train into a folder train, or rename it if it is a class."
            )
    return FolderSplits("a folder for each class", listing)


def wrapped_folder(root: Path) -> Path | None:
    """Return the one folder that a folder of images holds, as archives do, if its folders count.

    It must hold two folders or more and no image itself; no other file may lie beside it.
    """
    entries = [entry for entry in _visible(root) if entry.name not in _JUNK]
    if len(entries) != 1 or not entries[0].is_dir(follow_symlinks=False):
        return None
    if any(folder_of(root, part) for part in SPLITS):
        return None
    inner = root / entries[0].name
    held = _visible(inner)
    return inner if sum(map(_is_folder, held)) > 1 and not any(map(_is_image, held)) else None


def folder_of(root: Path, part: str) -> Path | None:
    """Return the folder of images of a split, if there is one."""
    names = [
        entry.name
        for entry in _visible(root)
        if entry.name.lower() in SPLITS[part] and _is_folder(entry)
    ]
    if len(names) > 1:
        raise DataError(
            f"{root} holds {' and '.join(map(repr, names))}, but must hold one folder for {part}."
        )
    return root / names[0] if names else None


def list_images(folder: Path) -> Listing:
    """List ``folder/<class>/**`` of the known suffixes; names that start with a dot do not count.

    A folder without images is no class.

    Raises:
        DataError: If a folder cannot be read, a name is not UTF-8, or links run in a circle.
    """
    walk = _Walk(folder)
    by_class = {}
    for entry in _visible(folder):
        if _is_folder(entry) and entry.name not in _JUNK:
            by_class[entry.name] = walk.images_of(entry.name)
        else:
            walk.ignored.append(entry.name)
    classes = tuple(name for name, images in by_class.items() if images)
    rows = [(label, *row) for label, name in enumerate(classes) for row in by_class[name]]
    labels, files, stamps = zip(*rows, strict=True) if rows else ((), (), ())
    walk.ignored += [f"{name}/" for name, images in by_class.items() if not images]
    return Listing(folder, classes, files, labels, stamps, tuple(walk.ignored))


@dataclass(slots=True)
class _Walk:
    """A walk through the folders of classes; each folder is taken once a class."""

    folder: Path
    ignored: list[str] = field(default_factory=list)

    def images_of(self, name: str) -> list[tuple[str, tuple[int, int]]]:
        """Return path and stamp of each image of a class, sorted."""
        check_name(name, self.folder)
        above = {_identity(path) for path in (self.folder, *self.folder.resolve().parents)}
        return sorted(self._below(name, above, set()))

    def _below(
        self, inside: str, above: set[tuple[int, int]], seen: set[tuple[int, int]]
    ) -> Iterator[tuple[str, tuple[int, int]]]:
        own = _identity(self.folder / inside)
        if own in above:
            raise DataError(f"{self.folder / inside} is a link to a folder that it lies in.")
        if own in seen:
            return
        seen.add(own)
        for entry in _visible(self.folder / inside):
            path = f"{inside}/{entry.name}"
            folder = _is_folder(entry)
            if folder and entry.name not in _JUNK:
                yield from self._below(path, above | {own}, seen)
            elif not folder and _is_image(entry):
                check_name(path, self.folder)
                yield path, stamp_of(entry)
            else:
                self.ignored.append(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in SUFFIXES


def image_names(folder: Path) -> dict[str, str]:
    """Return the images of a folder by name, and by name without the ending."""
    names = [entry.name for entry in _visible(folder) if _is_image(entry)]
    return {os.path.splitext(name)[0]: name for name in names} | {name: name for name in names}


def folders_in(folder: Path) -> list[str]:
    """Return the names of the folders of images in a folder."""
    return [entry.name for entry in _visible(folder) if _is_folder(entry)]


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    return sorted(shown, key=lambda entry: entry.name)
