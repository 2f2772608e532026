"""The run of ``data``: print what a set holds, write a sheet, delete all decoded images."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from optuna_de._text import printable
from optuna_de.cli.console import console, say
from optuna_de.cnn.data.contact_sheet import (
    ClassCounts,
    class_counts,
    contact_sheet,
    write_contact_sheet,
)
from optuna_de.cnn.data.loading import load_divided
from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.data.store.cache import cache_folder, cache_in, clear_cache

_ROWS = 40


def clear(options: DataOptions) -> None:
    """Delete all decoded images, and say how many bytes."""
    with cache_in(options.cache_dir):
        say(f"Deleted {clear_cache() / 1e6:,.1f} MB of the cache {cache_folder()}.")


def show(options: DataOptions, out: Path | None) -> None:
    """Print what a set holds; write a contact sheet where a file is given."""
    source, divided = load_divided(options.source, options)
    say(f"Data {source.summary}")
    console.print(_table(source.classes, class_counts(source, divided)))
    c, h, w = source.image_shape
    say(f"Networks would see {w}x{h} pixels and {c} channel{'s' if c > 1 else ''}.")
    if out is not None:
        write_contact_sheet(out, contact_sheet(source, divided), source.summary)
        say(f"Wrote {out}.")


def _table(classes: tuple[str, ...], counts: ClassCounts) -> Table:
    table = Table(box=None)
    table.add_column("class")
    for name in ("training", "validation", "test"):
        table.add_column(name, justify="right")
    test = [] if counts.test is None else counts.test.tolist()
    for i, name in enumerate(classes[:_ROWS]):
        cells = (counts.train[i], counts.validation[i])
        shown = f"{test[i]:,}" if test else "official"
        table.add_row(escape(printable(name)), *(f"{n:,}" for n in cells), shown)
    if len(classes) > _ROWS:
        table.add_row(f"and {len(classes) - _ROWS} more", "", "", "")
    every = (f"{int(n.sum()):,}" for n in (counts.train, counts.validation))
    table.add_row("all", *every, f"{sum(test):,}" if test else "official", style="bold")
    return table
