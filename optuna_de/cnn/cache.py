"""The cache of decoded images beside their folder.

A file holds the images and a key over all that they depend on; no pickle is ever read. What is
wrong with a cache costs time alone: one logged sentence says what, and the images are decoded
again.
"""

from __future__ import annotations

import logging
import os
import uuid
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_logger = logging.getLogger(__name__)


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
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        try:
            with open(draft, "xb") as file:
                np.savez(file, key=np.array(key), images=images)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        _logger.warning("No cache is kept, so every start decodes the images: %s.", error)
