"""Folders of images: splits, classes and files by the names of folders. No file is opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from optuna_de._checks import require_utf8
from optuna_de.cnn.data.images import SUFFIXES, DataError

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Names of the folders of a split, whatever the case."""
_JUNK = ("__MACOSX",)  # made by archive programs; names that start with a dot never count
_SHOWN = 3  # names in a note


@dataclass(frozen=True, slots=True)
class Listing:
    """The image files of a folder, sorted by class and path.

    Args:
        folder: The folder that holds one folder a class.
        classes: Names of the classes, sorted.
        files: Paths relative to ``folder``, with "/" between.
        labels: The class of each file, an index.
        stamps: Bytes and modification time in nanoseconds of each file; -1 where it has none.
        ignored: Paths of other files, and of folders without images.
    """

    folder: Path
    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]
    stamps: tuple[tuple[int, int], ...]
    ignored: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(self.folder / file for file in self.files)


@dataclass(frozen=True, slots=True)
class FolderSplits:
    """A folder as it was understood: a listing for each split.

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


def list_splits(root: Path) -> FolderSplits:
    """List a folder by the first row of :data:`LAYOUTS` that knows it.

    Raises:
        DataError: If none does, there are fewer than two classes, a name is not UTF-8, or a link
            leads to a folder that it lies in.
    """
    check_name(root.resolve().name, root.resolve().parent)
    for layout in LAYOUTS.values():
        found = layout(root)
        if found is not None:
            return _checked(found)
    raise DataError(
        f"The folder {root} holds no images; it must hold one folder of images for each class, "
        "or a folder train that does."
    )


def _checked(found: FolderSplits) -> FolderSplits:
    classes = found.train.classes
    if len(classes) < 2:
        what = f"only the class {classes[0]!r}" if classes else "no folders of images"
        raise DataError(
            f"{found.train.folder} holds {what}, but there must be two classes or more, each a "
            f"folder of images ({', '.join(sorted(suffix[1:] for suffix in SUFFIXES))})."
        )
    listings = [part for part in (found.train, found.validation, found.test) if part is not None]
    ignored = [repr(file.rstrip("/").rpartition("/")[2]) for p in listings for file in p.ignored]
    if not ignored:
        return found
    note = f"{_count(len(ignored), 'other file')} ignored ({_shown(ignored)})"
    return replace(found, notes=(*found.notes, note))


def split_folders(root: Path) -> FolderSplits | None:
    """List ``train/<class>/``, with folders for validation and test if there are any."""
    folders = {part: _folder_of(root, part) for part in SPLITS}
    train = folders.pop("train")
    if train is None:
        return None
    listing, notes = list_images(train), []
    parts: dict[str, Listing] = {}
    for part, folder in folders.items():
        if folder is not None:
            other = list_images(folder)
            if other.files:
                parts[part], note = _with_classes(other, listing.classes)
                notes += note
            else:
                notes.append(f"{folder.name}/ ignored, as it has no folders of images")
    names = ", ".join([f"{train.name}/", *(f"{part.folder.name}/" for part in parts.values())])
    return FolderSplits(f"folders {names}", listing, **parts, notes=tuple(notes))


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


LAYOUTS: Mapping[str, Callable[[Path], FolderSplits | None]] = {
    "split folders": split_folders,
    "class folders": class_folders,
}
"""Layouts of a folder by name, asked in this order; each gives None for a layout it is not."""


def _folder_of(root: Path, part: str) -> Path | None:
    """Return the folder of a split, if there is one."""
    found = [
        entry.name
        for entry in _visible(root)
        if entry.name.lower() in SPLITS[part] and _is_folder(entry)
    ]
    if len(found) > 1:
        raise DataError(
            f"{root} holds {' and '.join(map(repr, found))}, but must hold one folder for {part}."
        )
    return root / found[0] if found else None


def _with_classes(listing: Listing, classes: tuple[str, ...]) -> tuple[Listing, list[str]]:
    """Label a split by the classes of the training images; leave out what has none of them."""
    at = {name: i for i, name in enumerate(classes)}
    names = [listing.classes[label] for label in listing.labels]
    kept = [i for i, name in enumerate(names) if name in at]
    if not kept:
        raise DataError(f"{listing.folder} holds no class of the training images.")
    known = replace(
        listing,
        classes=classes,
        files=tuple(listing.files[i] for i in kept),
        labels=tuple(at[names[i]] for i in kept),
        stamps=tuple(listing.stamps[i] for i in kept),
    )
    if len(kept) == len(names):
        return known, []
    unknown = _shown([repr(name) for name in listing.classes if name not in at])
    left = _count(len(names) - len(kept), "image")
    return known, [f"{left} of {listing.folder.name}/ left out, as train lacks {unknown}"]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _shown(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


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
            if _is_folder(entry) and entry.name not in _JUNK:
                yield from self._below(path, above | {own}, seen)
            elif Path(entry.name).suffix.lower() in SUFFIXES and not _is_folder(entry):
                check_name(path, self.folder)
                yield path, _stamp(entry)
            else:
                self.ignored.append(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _stamp(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        found = entry.stat()
    except OSError:  # a link to nowhere; decoding tells
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    return sorted(shown, key=lambda entry: entry.name)


def check_name(name: str, folder: Path) -> None:
    """Check that the name of a file or folder is UTF-8, as all results are.

    Raises:
        DataError: If it is not.
    """
    try:
        require_utf8(name)
    except ValueError as error:
        raise DataError(
            f"The name {name!r} in the folder {str(folder)!r} is not valid UTF-8; rename it."
        ) from error
