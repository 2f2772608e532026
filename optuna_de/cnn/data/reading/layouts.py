"""Layouts of folders and files, and the splits they hold."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from optuna_de.cnn.data.reading.array_files import array_files
from optuna_de.cnn.data.reading.image_folder import class_folders, split_folders, wrapped_folder
from optuna_de.cnn.data.reading.images import SUFFIXES, DataError
from optuna_de.cnn.data.reading.listing import (
    FolderSplits,
    check_name,
    count,
    listed_splits,
    shown,
    with_classes,
)
from optuna_de.cnn.data.reading.parquet_files import parquet_files, saved_dataset
from optuna_de.cnn.data.reading.tables import TABLE_SUFFIXES, Columns, tables
from optuna_de.cnn.data.reading.tar_shards import tar_shards

Layout: TypeAlias = Callable[[Path, Columns], FolderSplits | None]


LAYOUTS: Mapping[str, Layout] = {
    "saved data set": saved_dataset,
    "tables": tables,
    "Parquet files": parquet_files,
    "array files": array_files,
    "tar shards": tar_shards,
    "split folders": lambda root, columns: split_folders(root) if root.is_dir() else None,
    "class folders": lambda root, columns: class_folders(root) if root.is_dir() else None,
}
"""Layouts of a folder or file by name, asked in this order; each gives None for one it is not."""


def list_splits(root: Path, columns: Columns) -> FolderSplits:
    """List the splits of a folder or file by the first of the layouts that knows it.

    Args:
        root: The folder or file.
        columns: The columns of a table, where the user named them.

    Raises:
        DataError: If none does, there are fewer than two classes, a name is not UTF-8, or a link
            leads to a folder that it lies in.
    """
    check_name(root.resolve().name, root.resolve().parent)
    inner = wrapped_folder(root) if root.is_dir() else None
    if inner is not None:
        within = list_splits(inner, columns)
        return replace(within, layout=f"in {inner.name}/, {within.layout}")
    for layout in LAYOUTS.values():
        splits = layout(root, columns)
        if splits is not None:
            return _checked(splits)
    if not root.is_dir():
        known = ", ".join((*TABLE_SUFFIXES, ".npz", ".tar"))
        raise DataError(f"{root} is a file, but must be a folder of images, or one of {known}.")
    loose = sum(os.path.splitext(name)[1].lower() in SUFFIXES for name in os.listdir(root))
    what = f"{count(loose, 'image')} outside of folders" if loose else "no images"
    raise DataError(
        f"The folder {root} holds {what}; it must hold one folder of images for each class, "
        "a folder train that does, or a table labels.csv of image files and their classes."
    )


def _checked(splits: FolderSplits) -> FolderSplits:
    classes = splits.train.classes
    if len(classes) < 2:
        what = f"only the class {classes[0]!r}" if classes else "no folders of images"
        raise DataError(
            f"{splits.train.folder} holds {what}, but there must be two classes or more, each a "
            f"folder of images ({', '.join(sorted(suffix[1:] for suffix in SUFFIXES))})."
        )
    splits = _without_small_classes(splits)
    ignored = [file.rstrip("/").rpartition("/")[2] for p in splits.parts for file in p.ignored]
    if not ignored:
        return splits
    names = shown([repr(name) for name in dict.fromkeys(ignored)])
    note = f"{len(ignored):,} other files or folders ignored ({names})"
    return replace(splits, notes=(*splits.notes, note))


def _without_small_classes(splits: FolderSplits) -> FolderSplits:
    """Leave out the classes of a layout that have too few images for the splits to be drawn."""
    train, drawn = splits.train, [splits.validation, splits.test].count(None)
    sizes = Counter(train.classes[label] for label in train.labels)
    kept = tuple(name for name in train.classes if sizes[name] > drawn)
    small = [
        f"the class {name!r} ({count(sizes[name], 'image')})"
        for name in train.classes
        if sizes[name] <= drawn
    ]
    if not small:
        return splits
    need = f"each class needs {count(drawn + 1, 'image')} or more for the splits"
    if len(kept) < 2:
        raise DataError(f"{train.folder} has too few images of {shown(small)}: {need}.")
    note = f"{shown(small)} left out, as {need}; add images, or remove its folder"
    parts = {"validation": splits.validation, "test": splits.test}
    official = {name: part for name, part in parts.items() if part is not None}
    less = listed_splits(splits.layout, with_classes(train, kept, "train")[0], official)
    notes = dict.fromkeys((*splits.notes, note, *less.notes))
    return replace(less, notes=tuple(notes))
