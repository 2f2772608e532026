"""Markdown: escaped text and tables. Depends on nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from optuna_de._text import printable

_MEANING = re.compile(r"[\\`*_{}\[\]()#+!|~$<>&@:]|(?<=www)\.", re.IGNORECASE)
# Opens a list, or underlines a heading.
_LINE_START = re.compile(r"^(\d+)(\.)(?=\s|$)|^()([=-])(?=[\s=-]|$)")


def one_line(text: object) -> str:
    """Return text as one printable line."""
    return " ".join(printable(str(text)).split())


def escape(text: object) -> str:
    """Return text, on one line, that means nothing to Markdown or HTML.

    Example:
        >>> escape("a|b")
        'a&#124;b'
    """
    line = _MEANING.sub(lambda match: f"&#{ord(match[0])};", one_line(text))
    return _LINE_START.sub(lambda match: f"{match[1] or ''}&#{ord(match[2] or match[4])};", line)


def table(
    head: Sequence[str], rows: Iterable[Iterable[object]], *, left: Sequence[str] = ()
) -> str:
    """Return a Markdown table of escaped cells.

    Args:
        head: Names of the columns.
        rows: As many cells each.
        left: Names of the columns of text; all others are aligned to the right.
    """
    rule = ("---" if name in left else "--:" for name in head)
    lines = [map(escape, head), rule, *(map(escape, row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
