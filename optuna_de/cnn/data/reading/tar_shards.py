"""Tar shards as WebDataset has them: a sample is the members that share a name."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from optuna_de.cnn.data.reading.images import SUFFIXES, DataError
from optuna_de.cnn.data.reading.listing import (
    FolderSplits,
    Listing,
    listed_splits,
    listing_of,
    stamp_of,
)
from optuna_de.cnn.data.reading.parquet_files import by_split
from optuna_de.cnn.data.reading.tables import Columns

_LABELS = (".cls", ".txt", ".json")  # in this order
_KEYS = ("label", "cls", "class")  # of a .json


def tar_shards(root: Path, columns: Columns) -> FolderSplits | None:
    """List the samples of tar shards: ``0001.jpg`` beside ``0001.cls``, ``.txt`` or ``.json``.

    Shards called ``train-*``, ``val-*`` and ``test-*`` are splits.
    """
    if root.is_file():
        files = [root] if root.suffix.lower() == ".tar" else []
    else:
        files = sorted(root.glob("*.tar")) or sorted(root.glob("*/*.tar"))
    if not files:
        return None
    parts = by_split([file if root.is_file() else file.relative_to(root) for file in files])
    if "train" not in parts:
        raise DataError(f"{root} holds tar shards, of which none is called train.")
    place = root.parent if root.is_file() else root
    listings = {
        part: _samples(place, [place / shard for shard in shards])
        for part, shards in parts.items()
    }
    what = f"{len(files)} tar {'shard' if len(files) == 1 else 'shards'} of WebDataset"
    return listed_splits(what, listings.pop("train"), listings)


def _samples(place: Path, shards: Sequence[Path]) -> Listing:
    """Return the samples of shards in the order in which they lie there."""
    rows = [row for shard in shards for row in _index(shard)]
    if not rows:
        raise DataError(f"{shards[0]} holds no images with a .cls, .txt or .json beside them.")
    names = [name for *_, name in rows]
    whole = all(name.isdecimal() for name in names)
    classes = sorted(set(names), key=int) if whole else sorted(set(names))
    files = [f"{shard.relative_to(place).as_posix()}: {member}" for shard, member, *_ in rows]

    def read(i: int) -> bytes:
        shard, _, start, size, _ = rows[i]
        with shard.open("rb") as file:
            file.seek(start)
            return file.read(size)

    stamps = tuple(stamp_of(shard) for shard in shards)
    return listing_of(place, files, names, classes, stamps, read)


def _index(shard: Path) -> list[tuple[Path, str, int, int, str]]:
    """Return shard, member, start, bytes and class of each sample of a tar shard."""
    images: dict[str, tuple[str, int, int]] = {}
    labels: dict[str, tuple[int, str]] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                stem, _, ending = path.name.partition(".")
                key, suffix = os.path.join(str(path.parent), stem), f".{ending.lower()}"
                if member.isfile() and f".{ending.rpartition('.')[2].lower()}" in SUFFIXES:
                    images[key] = member.name, member.offset_data, member.size
                elif member.isfile() and suffix in _LABELS:
                    content = archive.extractfile(member)
                    text = b"" if content is None else content.read()
                    label = _label(text, suffix)
                    rank = _LABELS.index(suffix)
                    if label is not None and rank <= labels.get(key, (rank, ""))[0]:
                        labels[key] = rank, label
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DataError(f"The shard {shard} cannot be read: {error}.") from error
    missing = next((key for key in images if key not in labels), None)
    if missing is not None:
        raise DataError(f"{shard} holds {images[missing][0]} without a .cls, .txt or .json.")
    return [(shard, *image, labels[key][1]) for key, image in images.items()]


def _label(text: bytes, suffix: str) -> str | None:
    if suffix != ".json":
        return text.decode().strip()
    content = json.loads(text)
    values = [content[key] for key in _KEYS if isinstance(content, dict) and key in content]
    return str(values[0]) if values and isinstance(values[0], str | int) else None
