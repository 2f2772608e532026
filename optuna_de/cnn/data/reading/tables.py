"""Tables of image files and their classes, by columns."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna_de.cnn.data.reading.image_folder import SPLITS, folder_of, folders_in, image_names
from optuna_de.cnn.data.reading.images import SUFFIXES, DataError
from optuna_de.cnn.data.reading.listing import (
    FolderSplits,
    Listing,
    check_name,
    listed_splits,
    listing_of,
    stamp_of,
)

_STEMS = ("labels", "metadata")
_IMAGE_NAMES = ("file_name", "filename", "file", "path", "filepath", "file_path", "image")
_ID_NAMES = (*_IMAGE_NAMES, "id", "image_id", "image_name", "img", "name")  # without endings
_LABEL_NAMES = ("label", "labels", "class", "class_name", "category", "target", "y")
_SPLIT_NAMES = ("split", "set", "subset", "partition")
_LOOKED_AT = 100  # rows, to recognise a column of image files
Table = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of tables that the user named; None leaves one to be recognised."""

    image: str | None = None
    label: str | None = None


def pyarrow_parquet(path: Path) -> Any:
    """Return pyarrow's module for Parquet tables.

    Raises:
        DataError: If it is not installed.
    """
    try:
        import pyarrow.parquet as module
    except ImportError:
        raise DataError(f'{path} needs pyarrow: pip install "optuna-de[data]".') from None
    return module


def _read_csv(path: Path) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        separator = max(",;\t", key=first.count)  # some spreadsheets write ;
        rows = list(csv.reader([first, *file], delimiter=separator))
    head, body = rows[0], [row for row in rows[1:] if row]
    odd = next((i for i, row in enumerate(body) if len(row) != len(head)), None)
    if odd is not None:
        raise ValueError(f"row {odd + 1} has {len(body[odd])} cells, but the head {len(head)}")
    return {name.strip(): [row[i].strip() for row in body] for i, name in enumerate(head)}


def _read_json_lines(path: Path) -> Table:
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return {name: [row.get(name) for row in rows] for name in rows[0]}


def _read_parquet(path: Path) -> Table:
    table = pyarrow_parquet(path).read_table(path)
    return {name: table.column(name).to_pylist() for name in table.column_names}


_READERS: Mapping[str, Callable[[Path], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}
TABLE_SUFFIXES = tuple(_READERS)


def tables(root: Path, columns: Columns) -> FolderSplits | None:
    """List images by tables and their columns.

    A table is a file, or ``labels.*`` or ``metadata.*`` in a folder or in its splits.

    A table's column ``split`` divides it. Tables called ``train.csv``, ``val.csv``, ``test.csv``
    are splits, too.
    """
    if root.is_file():
        whole = [root] if root.suffix.lower() in _READERS else []
        return _one_table(whole[0], columns) if whole else None
    table_file = _table_in(root, _STEMS)
    if table_file is not None:
        return _one_table(table_file, columns)
    parts = {part: _table_of_split(root, part) for part in SPLITS}
    if parts["train"] is None:
        return None
    notes, test = [], parts["test"]
    if test is not None and len(_read(test)) == 1:
        notes = [f"{test.name} ignored, as it has no column for the classes"]
        del parts["test"]
    listings = {p: _listed(path, columns, None) for p, path in parts.items() if path is not None}
    if None in listings.values():
        return None
    names = ", ".join(str(p.relative_to(root)) for p in parts.values() if p is not None)
    known = {part: listing for part, listing in listings.items() if listing is not None}
    what = "the table" if len(known) == 1 else "tables"
    return listed_splits(f"{what} {names}", known.pop("train"), known, notes)


def _table_of_split(root: Path, part: str) -> Path | None:
    folder = folder_of(root, part)
    inside = None if folder is None else _table_in(folder, _STEMS)
    return inside or _table_in(root, SPLITS[part])


def _table_in(folder: Path, stems: Sequence[str]) -> Path | None:
    """Return the table of one of these stems in a folder, if there is one."""
    table_files = [
        path
        for path in sorted(folder.iterdir())
        if path.stem.lower() in stems and path.suffix.lower() in _READERS and path.is_file()
    ]
    if len(table_files) > 1:
        names = " and ".join(repr(path.name) for path in table_files)
        raise DataError(f"{folder} holds the tables {names}; give one of them as --data.")
    return table_files[0] if table_files else None


def _one_table(path: Path, columns: Columns) -> FolderSplits | None:
    table = _read(path)
    split = next((name for name in table if name.lower() in _SPLIT_NAMES), None)
    if split is None:
        listing = _listed(path, columns, None, table)
        return None if listing is None else FolderSplits(f"the table {path.name}", listing)
    parts = _parts_of(path, split, table[split])
    listings = {part: _listed(path, columns, rows, table) for part, rows in parts.items()}
    known = {part: listing for part, listing in listings.items() if listing is not None}
    if not known:
        return None
    layout = f"the table {path.name}, divided by its column {split!r}"
    return listed_splits(layout, known.pop("train"), known)


def _parts_of(path: Path, column: str, values: Sequence[Any]) -> dict[str, list[int]]:
    """Return the rows of each split by the values of a table's column."""
    names = {name: part for part, names in SPLITS.items() for name in names}
    parts: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        part = names.get(str(value).strip().lower())
        if part is None:
            raise DataError(
                f"Column {column!r} of {path} holds {value!r}, but must hold train, val or test."
            )
        parts.setdefault(part, []).append(i)
    if "train" not in parts:
        raise DataError(f"Column {column!r} of {path} names no row for train.")
    return parts


def _read(path: Path) -> Table:
    try:
        table = _READERS[path.suffix.lower()](path)
    except DataError:
        raise
    except IndexError:
        raise DataError(f"The table {path} is empty.") from None
    except Exception as error:  # parsers raise anything of a damaged file
        raise DataError(f"The table {path} cannot be read: {error}.") from error
    if not table or not next(iter(table.values())):
        raise DataError(f"The table {path} is empty.")
    return table


def _listed(
    path: Path, columns: Columns, rows: Sequence[int] | None, table: Table | None = None
) -> Listing | None:
    """Return the images of a table's rows; None where no column holds image files."""
    table = _read(path) if table is None else table
    image = _image_column(path, table, columns.image)
    if image is None:
        return None
    label = label_column(path, table, columns.label, (image,))
    chosen = range(len(table[image])) if rows is None else rows
    pairs: dict[str, str] = {}
    places = _places(path, table[image])
    for i in chosen:
        file = _inside(path, places.get(str(table[image][i]), table[image][i]))
        name = _class_of(path, label, table[label][i])
        if pairs.setdefault(file, name) != name:
            raise DataError(f"{path} gives {file} two classes, {pairs[file]!r} and {name!r}.")
    return _sorted_listing(path.parent, pairs)


def _sorted_listing(folder: Path, pairs: Mapping[str, str]) -> Listing:
    """Return a listing sorted by class and file, as that of a folder for each class is."""
    ordered = sorted(pairs.items(), key=lambda pair: (pair[1], pair[0]))
    files, names = [file for file, _ in ordered], [name for _, name in ordered]
    stamps = tuple(stamp_of(folder / file) for file in files)
    return listing_of(folder, files, names, sorted(set(names)), stamps)


def _places(path: Path, files: Sequence[Any]) -> dict[str, str]:
    """Return where the files lie that a table names without their folder or ending.

    They lie beside the table or in one folder there. Nothing is returned where the first name
    leads to a file.
    """
    first = str(files[0])
    if (path.parent / first).is_file():
        return {}
    alike = sorted(folders_in(path.parent), key=lambda name: path.stem not in name)
    for folder in ("", *(f"{name}/" for name in alike)):
        images = image_names(path.parent / folder)
        if first in images:
            return {name: folder + file for name, file in images.items()}
    return {}


def _inside(path: Path, file: object) -> str:
    """Return a file's path relative to its table, with "/" between."""
    text = str(file).replace("\\", "/")
    base = os.path.abspath(path.parent)  # a table may name whole paths
    full = os.path.abspath(os.path.join(base, text))
    if not full.startswith(os.path.join(base, "")):
        raise DataError(f"{path} names {text!r}, which lies outside the folder of the table.")
    inside = os.path.relpath(full, base)
    check_name(inside, path.parent)
    return inside.replace(os.sep, "/")


def _image_column(path: Path, table: Table, given: str | None) -> str | None:
    if given is not None:
        return _known(path, table, given, "image")
    file_columns = [name for name, values in table.items() if _are_files(values[:_LOOKED_AT])]
    named = [name for name in file_columns if name.lower() in _IMAGE_NAMES] or file_columns
    if not named:
        known = (name for name in table if name.lower() in _ID_NAMES)
        named = [name for name in known if _places(path, table[name])]
    if len(named) > 1:
        raise _several(path, named, "image")
    return named[0] if named else None


def _are_files(values: Sequence[Any]) -> bool:
    return all(isinstance(v, str) and Path(v).suffix.lower() in SUFFIXES for v in values)


def label_column(
    path: Path, table: Mapping[str, Any], given: str | None, taken: Sequence[str]
) -> str:
    """Return the label column of tables, of classes.

    Args:
        path: The table, for messages.
        table: Its columns.
        given: The column that the user named.
        taken: Columns that hold something else.

    Raises:
        DataError: If there is none, or several could be it.
    """
    if given is not None:
        return _known(path, table, given, "label")
    rest = [n for n in table if n not in taken and n.lower() not in _SPLIT_NAMES]
    named = [name for name in rest if name.lower() in _LABEL_NAMES]
    candidates = named or rest
    if not candidates:
        raise DataError(f"{path} has no column for the classes, only {', '.join(table)}.")
    if len(candidates) > 1:
        raise _several(path, candidates, "label")
    return candidates[0]


def _known(path: Path, table: Mapping[str, Any], given: str, what: str) -> str:
    if given not in table:
        columns = ", ".join(map(repr, table))
        raise DataError(
            f"{what}_column is {given!r}, but {path} has the columns {columns} (see "
            f"--{what}-column)."
        )
    return given


def _several(path: Path, names: Sequence[str], what: str) -> DataError:
    listed = ", ".join(map(repr, names))
    return DataError(
        f"{path} has several columns that could be the {what}: {listed}; give one of them as "
        f"{what}_column (--{what}-column)."
    )


def _class_of(path: Path, column: str, value: Any) -> str:
    """Return the name of a class in a table."""
    whole = isinstance(value, int) or (isinstance(value, str) and not _is_fraction(value))
    if not whole or value == "":
        raise DataError(
            f"Column {column!r} of {path} holds {value!r}, but must name classes by texts or "
            "whole numbers."
        )
    return str(value)


def _is_fraction(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not text.strip().lstrip("+-").isdecimal() and any(c.isdigit() for c in text)
