"""Configuration files: a command's options from TOML; what stands on the command line wins."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

_OPTION = "--config"


def take_config(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """Return the file of ``--config FILE``, in both spellings, and the other arguments.

    Raises:
        ValueError: If the option has no file.
    """
    for place, word in enumerate(arguments):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name == _OPTION:
            behind = place + 1 if equals else place + 2
            file = value if equals else next(iter(arguments[place + 1 :]), "")
            if not file:
                raise ValueError("--config needs a TOML file.")
            return Path(file), arguments[:place] + arguments[behind:]
    return None, arguments


def read_config(file: Path, known: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of a TOML file by the parameters of a command.

    Args:
        file: Keys are options without the first dashes, such as ``max-parameters = 500_000``.
        known: The parameter of each option.

    Raises:
        ValueError: If the file cannot be read, or has an option that the command lacks.
    """
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        content = toml.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--config {file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ValueError(f"--config {file} is no TOML: {error}.") from None
    options = {f"--{key.replace('_', '-')}": value for key, value in content.items()}
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        raise ValueError(f"--config {file} has {unknown[0]}, which is no option of this command.")
    return {known[option]: value for option, value in options.items()}
