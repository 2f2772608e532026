"""Early checks: folders on the command line that cannot exist, before torch is loaded.

What these let pass, the command itself checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

_FOLDERS = ("--data", "--data-dir")
_PLAIN = re.compile(r"(?=.*[./\\])[\w ./\\~-]+")
"""A path; names of data sets, addresses and patterns of files are left to the data's module."""
_IMAGE_COMMANDS, _MODEL_COMMANDS = ("fit", "data"), ("export", "predict")


def check_early(command: str, arguments: Sequence[str]) -> None:
    """Check the folders that a command is given.

    Raises:
        ValueError: If there is no such folder or file.
    """
    if "--help" in arguments or "--download" in arguments:
        return
    first = next(iter(arguments), "")
    images = [first] if command in _IMAGE_COMMANDS and first[:1] != "-" else []
    for value in [*_values(arguments), *images]:
        if _PLAIN.fullmatch(value) and not Path(value).exists():
            raise ValueError(f"There is no folder {value}.")
    if command in _MODEL_COMMANDS and first[:1] not in ("", "-") and not Path(first).exists():
        raise ValueError(f"There is no model {first}.")


def _values(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the value of each option that takes a folder, in both spellings."""
    for option, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        name, equals, value = option.partition("=")
        if name in _FOLDERS:
            yield value if equals else following
