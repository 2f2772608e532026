"""Command-line options as marks of dataclass fields. No command-line library.

Example:
    >>> @dataclass(frozen=True)
    ... class Search:
    ...     seed: Annotated[int, Option("Seed of all trainings.", "Search")] = 0
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Option:
    """Command-line option of a dataclass field; a field without it is no option.

    Args:
        help: Text of ``--help``.
        group: Heading under which ``--help`` lists it.
        names: Spellings; by default the field's name.
        parse: From the text on the command line to the field's value, for types other than text,
            numbers, paths and truth values. It raises ValueError with one sentence.
    """

    help: str
    group: str
    names: tuple[str, ...] = ()
    parse: Callable[[str], Any] | None = None
