"""Files that a killed training goes on from.

A file is one header line with a SHA-256 of the rest, then what :func:`torch.save` writes. It is
written beside its place and moved there, so a kill leaves the file of the epoch before. Whatever
is wrong with a file, it counts as absent and one logged sentence says why.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import logging
import os
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

VERSION = 1
_MAGIC = b"optuna_de checkpoint"
_logger = logging.getLogger(__name__)


def save(path: Path, key: str, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically; one that cannot be written costs a warning only.

    Args:
        path: Where; its folder exists.
        key: Names the training that it belongs to.
        content: Tensors, numbers, strings and containers of them.
    """
    buffer = io.BytesIO()
    torch.save({"key": key, **content}, buffer)
    body = buffer.getbuffer()
    digest = hashlib.sha256(body).hexdigest().encode()
    # Machines that share the folder may share process ids.
    beside = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with beside.open("wb") as file:
            file.write(b"%s %d %s\n" % (_MAGIC, VERSION, digest))
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        _logger.warning("The checkpoint %s cannot be written: %s.", path, error.strerror)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Remove a checkpoint, and what killed writers left beside it."""
    for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        part.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def load(path: Path, key: str) -> dict[str, Any] | None:
    """Return what was saved under ``path`` for the training ``key``, on the CPU, or None."""
    if not path.exists():
        return None
    try:
        return _read(path.read_bytes(), key)
    except (OSError, ValueError) as error:
        _logger.warning("The checkpoint %s is ignored: %s.", path, error)
        return None


def _read(raw: bytes, key: str) -> dict[str, Any]:
    header, _, body = raw.partition(b"\n")
    if not header.startswith(_MAGIC + b" "):
        raise ValueError("it is no checkpoint of this program")
    version, _, digest = header.removeprefix(_MAGIC + b" ").partition(b" ")
    if version != b"%d" % VERSION:
        raise ValueError(f"its format is not version {VERSION}")
    if digest != hashlib.sha256(body).hexdigest().encode():
        raise ValueError("its SHA-256 does not match")
    content = _tensors(body)
    if content.pop("key") != key:
        raise ValueError("it belongs to another training")
    return content


def _tensors(body: bytes) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(
            io.BytesIO(body), map_location="cpu", weights_only=True
        )
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise ValueError("torch does not read it as plain tensors and numbers") from error
    return content
