"""Checkpoints: a killed training resumes from them.

A file is one header line with a SHA-256 of the rest, then what :func:`torch.save` writes. It
replaces the file of the epoch before in one step. A damaged checkpoint is logged and ignored; one
that cannot be written costs one warning.
"""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from optuna_de._files import reason, remove, warn_once, write_bytes

VERSION = 1
_MAGIC = b"optuna_de checkpoint"
_logger = logging.getLogger(__name__)


def save_checkpoint(path: Path, key: str, content: dict[str, Any]) -> bool:
    """Write a checkpoint in one step, into a folder that is made if it is missing.

    Args:
        path: The file.
        key: Names the training that it belongs to.
        content: Tensors, numbers, strings and containers of them.

    Returns:
        Whether it was written. If not, one warning says why; an older checkpoint stays.
    """
    buffer = io.BytesIO()
    torch.save({"key": key, **content}, buffer)
    body = buffer.getbuffer()
    digest = hashlib.sha256(body).hexdigest().encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, b"%s %d %s\n" % (_MAGIC, VERSION, digest), body)
    except OSError as error:
        warn_once(
            f"Checkpoints cannot be written to {path.parent}: {reason(error)}; a training that is "
            "interrupted starts again."
        )
        return False
    return True


def weights_digest(model: nn.Module) -> str:
    """Return 16 digits that tell the weights of a network from others."""
    digest = hashlib.sha256()
    for value in model.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def discard_checkpoint(path: Path) -> None:
    """Remove a checkpoint and the drafts of killed writers; one that stays costs one warning."""
    try:
        remove(path)
    except OSError as error:
        warn_once(f"Checkpoints in {path.parent} cannot be removed: {reason(error)}.")


def load_checkpoint(path: Path, *keys: str) -> dict[str, Any] | None:
    """Return what was saved under ``path`` for a training of these keys, on the CPU, or None."""
    try:
        return _read(path.read_bytes(), keys)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        _logger.warning("The checkpoint %s is ignored: %s.", path, error)
        return None


def _read(raw: bytes, keys: Sequence[str]) -> dict[str, Any]:
    header, _, body = raw.partition(b"\n")
    if not header.startswith(_MAGIC + b" "):
        raise ValueError("it is no checkpoint of this program")
    version, _, digest = header.removeprefix(_MAGIC + b" ").partition(b" ")
    if version != b"%d" % VERSION:
        raise ValueError(f"its format is not version {VERSION}")
    if digest != hashlib.sha256(body).hexdigest().encode():
        raise ValueError("its SHA-256 does not match")
    content = _tensors(body)
    if content.pop("key") not in keys:
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
