"""Numbers, shapes and durations as text for people."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence

Shape = tuple[int, ...]

TIMES = "\u00d7"
_PREFIXES = " kMG"


def number_text(value: object) -> str:
    """Return a number as people read it; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def printable(text: str, keep: str = "") -> str:
    """Return a text without characters that steer a terminal or change the order of others.

    White space becomes a blank; other characters that Unicode calls unprintable are dropped:
    control and format characters (Cc, Cf), surrogates, private and unassigned ones.

    Args:
        text: Any text, such as an attribute that someone else wrote.
        keep: Characters that stay, e.g. ``"\\n"``.
    """
    if text.isprintable():
        return text
    kept = (c if c.isprintable() or c in keep else " " if c.isspace() else "" for c in text)
    return "".join(kept)


def duration(seconds: float) -> str:
    """Return a duration in words: ``8.5 s``, ``12 min``, ``3.4 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def amount(number: int) -> str:
    """Return a count in three digits: ``196``, ``34.3 k``, ``1.98 M``; a dash for 0."""
    if number < 1000:
        return str(number) if number else "\u2013"
    power = next((p for p in (1, 2) if number < 999.5 * 1000**p), 3)
    size = number / 1000**power
    return f"{size:,.0f} {_PREFIXES[power]}" if size >= 99.95 else f"{size:.3g} {_PREFIXES[power]}"


def times(shape: Shape) -> str:
    """Return a shape as text, channels first."""
    return TIMES.join(map(str, shape))


def shell_line(words: Sequence[str], *, windows: bool = os.name == "nt") -> str:
    """Return the text that a shell splits into these words.

    Args:
        words: A command and its arguments.
        windows: Whether the shell is that of Windows, to which single quotes mean nothing.

    Example:
        >>> shell_line(["view", "my file"], windows=False)
        "view 'my file'"
        >>> shell_line(["view", "my file"], windows=True)
        'view "my file"'
    """
    return subprocess.list2cmdline(words) if windows else shlex.join(words)
