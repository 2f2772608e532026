"""Parquet files of Hugging Face data sets, and data sets it saved."""

from __future__ import annotations

import bisect
import itertools
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from optuna_de.cnn.data.reading.tables import Columns, label_column, pyarrow_parquet

_KEPT = 4  # row groups in memory
_SAVED = ("dataset_dict.json", "dataset_info.json")  # what Dataset.save_to_disk writes


def parquet_files(root: Path, columns: Columns) -> FolderSplits | None:
    """List the rows of Parquet files of which a column holds images as bytes.

    Files lie in the folder or in its folder ``data``; ``train-*``, ``validation-*`` and ``test-*``
    are splits.
    """
    if root.is_file():
        return _listed({"train": [root]}, columns) if root.suffix == ".parquet" else None
    for folder in (root, root / "data"):
        files = sorted(folder.glob("*.parquet"))
        if files:
            return _listed(_by_split(folder, files), columns)
    return None


def _by_split(folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    parts = by_split(files)
    if "train" not in parts:
        names = ", ".join(file.name for file in files[:3])
        raise DataError(f"{folder} holds {names}, of which none is called train.")
    return parts


def by_split(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Divide Parquet files or tar shards by the splits that their names begin with.

    Where no name tells a split, all are "train".
    """
    parts: dict[str, list[Path]] = {}
    for file in files:
        word = file.name.lower().replace("_", "-").replace(".", "-").split("-")[0]
        part = next((part for part, names in SPLITS.items() if word in names), None)
        if part is not None:
            parts.setdefault(part, []).append(file)
    return parts or {"train": list(files)}


def _listed(parts: Mapping[str, Sequence[Path]], columns: Columns) -> FolderSplits | None:
    listed = {part: _rows(files, columns) for part, files in parts.items()}
    if None in listed.values():
        return None
    listings = {part: listing for part, listing in listed.items() if listing is not None}
    files = sum(map(len, parts.values()))
    what = f"{files} Parquet {'file' if files == 1 else 'files'} of images"
    return listed_splits(what, listings.pop("train"), listings)


def _rows(files: Sequence[Path], columns: Columns) -> Listing | None:
    """Return the rows of Parquet files; None where no column holds images as bytes."""
    parquet, opened = pyarrow_parquet(files[0]), []
    for file in files:
        try:
            opened.append(parquet.ParquetFile(file))
        except Exception as error:  # pyarrow raises anything of a damaged file
            raise DataError(f"The table {file} cannot be read: {error}.") from error
    schema = opened[0].schema_arrow
    image = _bytes_column(files[0], schema, columns.image)
    if image is None:
        return None
    table = dict.fromkeys(schema.names)
    label = label_column(files[0], table, columns.label, (image,))
    values = [v for one in opened for v in one.read(columns=[label]).column(0).to_pylist()]
    names = _names(schema, label)
    classes, texts = class_names(files[0], label, values, names)
    stamps = tuple(stamp_of(file) for file in files)
    rows = [f"row {i}" for i in range(len(values))]
    groups = _RowGroups(opened, image)
    return listing_of(_place(files), rows, texts, classes, stamps, groups.read)


def _place(files: Sequence[Path]) -> Path:
    return files[0] if len(files) == 1 else files[0].parent


def _bytes_column(path: Path, schema: Any, given: str | None) -> str | None:
    columns = [f.name for f in schema if "binary" in str(f.type) and f.name == (given or f.name)]
    if given is not None and given not in schema.names:
        raise DataError(
            f"image_column is {given!r}, but {path} has the columns "
            f"{', '.join(map(repr, schema.names))} (see --image-column)."
        )
    if len(columns) > 1:
        raise DataError(
            f"{path} has several columns that could be the image: "
            f"{', '.join(map(repr, columns))}; give one of them as image_column (--image-column)."
        )
    return columns[0] if columns else None


def _names(schema: Any, label: str) -> tuple[str, ...] | None:
    """Return the names of classes that Hugging Face keeps in a Parquet file's schema."""
    raw = (schema.metadata or {}).get(b"huggingface")
    try:
        feature = json.loads(raw)["info"]["features"][label] if raw else {}
        names = feature.get("names")
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) and names else None


def class_names(
    path: Path, column: str, values: Sequence[Any], names: Sequence[str] | None
) -> tuple[tuple[str, ...], list[str]]:
    """Return the class names of Parquet files, and the class of each row.

    Args:
        path: The file, for messages.
        column: The column.
        values: Whole numbers or texts.
        names: Names of the classes 0, 1, ...; None names them by the values.

    Raises:
        DataError: If a value is something else.
    """
    kinds = {type(value) for value in values}
    if not kinds or not (kinds <= {int} or kinds <= {str}):
        odd = next((v for v in values if type(v) not in (int, str)), "texts and numbers")
        raise DataError(
            f"Column {column!r} of {path} holds {odd!r}, but must name classes by texts or "
            "whole numbers."
        )
    if names is not None and kinds == {int}:
        wrong = next((v for v in values if not 0 <= v < len(names)), None)
        if wrong is not None:
            raise DataError(
                f"Column {column!r} of {path} holds {wrong}, but names {len(names)} classes."
            )
        used = sorted(set(values))
        return tuple(names[i] for i in used), [names[i] for i in values]
    return tuple(map(str, sorted(set(values)))), list(map(str, values))


class _RowGroups:
    """Images of Parquet files by row; the row groups read last are kept."""

    def __init__(self, files: Sequence[Any], column: str) -> None:
        self._column = column
        self._groups = [(f, g) for f in files for g in range(f.metadata.num_row_groups)]
        counts = (f.metadata.row_group(g).num_rows for f, g in self._groups)
        self._starts = [0, *itertools.accumulate(counts)]
        self._kept: OrderedDict[int, list[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, i: int) -> bytes:
        """Return the bytes of an image."""
        group = bisect.bisect_right(self._starts, i) - 1
        with self._lock:
            if group not in self._kept:
                file, number = self._groups[group]
                column = file.read_row_group(number, columns=[self._column]).column(0)
                self._kept[group] = column.to_pylist()
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            rows = self._kept[group]
        value = rows[i - self._starts[group]]
        content = value.get("bytes") if isinstance(value, dict) else value
        return content if isinstance(content, bytes) else b""


def saved_dataset(root: Path, columns: Columns) -> FolderSplits | None:
    """List a folder that Hugging Face's ``save_to_disk`` wrote; Parquet files need no library."""
    if not root.is_dir() or not any((root / name).is_file() for name in _SAVED):
        return None
    try:
        import datasets
    except ImportError:
        raise DataError(f'{root} needs datasets: pip install "optuna-de[data]".') from None
    try:
        opened = datasets.load_from_disk(str(root))
    except Exception as error:  # the library raises anything of a damaged folder
        raise DataError(f"The data set {root} cannot be read: {error}.") from error
    splits = dict(opened) if isinstance(opened, Mapping) else {"train": opened}
    words = {name: part for part, names in SPLITS.items() for name in names}
    parts = {words[n.lower()]: part for n, part in splits.items() if n.lower() in words}
    if "train" not in parts:
        raise DataError(f"{root} holds the splits {', '.join(splits)}, of which none is train.")
    stamps = tuple(stamp_of(file) for file in sorted(root.rglob("*.arrow")))
    listings = {n: hugging_face_rows(root, part, columns, stamps) for n, part in parts.items()}
    return listed_splits("a data set of Hugging Face", listings.pop("train"), listings)


def hugging_face_rows(path: Path, rows: Any, columns: Columns, stamps: Stamps) -> Listing:
    """Return the rows of a Hugging Face data set, as those of a Parquet file, undecoded.

    Raises:
        DataError: If it has no column of images, or none of classes.
    """
    import datasets

    image_columns = [n for n, f in rows.features.items() if isinstance(f, datasets.Image)]
    image = columns.image or (image_columns[0] if len(image_columns) == 1 else None)
    if image not in image_columns:
        raise DataError(
            f"image_column is {columns.image!r}, but {path} has the columns of images "
            f"{', '.join(map(repr, image_columns)) or 'none'} (see --image-column)."
        )
    label = label_column(path, rows.features, columns.label, (str(image),))
    names = getattr(rows.features[label], "names", None)
    classes, texts = class_names(path, label, list(rows[label]), names)
    plain = rows.cast_column(image, datasets.Image(decode=False))
    return listing_of(
        path, [f"row {i}" for i in range(len(texts))], texts, classes, stamps, _cell(plain, image)
    )


def _cell(rows: Any, column: Any) -> Callable[[int], Any]:
    def read(i: int) -> Any:
        value = rows[i][column]
        return value["bytes"] if value["bytes"] is not None else Path(value["path"])

    return read
