"""Folders; that of a training or a comparison is claimed by what it depends on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from optuna_de.cnn.saved import write_text

SETUP = "setup.json"
_FOR_THE_RECORD = ("origin",)


def make_folder(folder: Path) -> None:
    """Make a folder where it is missing.

    Raises:
        ValueError: Where that is impossible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"The folder {folder} cannot be made: {error.strerror}.") from error


def claim_folder(folder: Path, setup: dict[str, Any], what: str = "training") -> None:
    """Make the folder of a training, or see that it holds the same one.

    Args:
        folder: Where.
        setup: All that has to be the same, as JSON has it.
        what: What the folder is of, for messages.

    Raises:
        ValueError: Where it holds anything else.
    """
    file = folder / SETUP
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(setup, indent=1) + "\n")
        return
    if not file.is_file():
        raise ValueError(f"{folder} exists and holds no {what}; choose another --out.")
    stored = json.loads(file.read_text(encoding="utf-8"))
    for key in {**setup, **stored}:
        if key not in _FOR_THE_RECORD and stored.get(key) != setup.get(key):
            raise ValueError(
                f"{folder} holds a {what} with {key} {stored.get(key)!r}, not "
                f"{setup.get(key)!r}; repeat that, or choose another --out."
            )
