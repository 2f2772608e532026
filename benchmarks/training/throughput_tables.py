"""Tables of training throughput on processors and cards, from their rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from benchmarks.common.results import Row, cell, markdown

Cell = tuple[str, int]
"""A network's name and a batch size."""
_OPERATIONS = 6  # of one multiply-accumulate: forward, and backward to inputs and to weights


def cells(rows: Sequence[Row]) -> list[Cell]:
    """Return what was measured, in order."""
    return list(dict.fromkeys((r["network"], r["batch"]) for r in rows if "batch" in r))


def rates(rows: Sequence[Row], what: str, side: str, at: Cell, key: str = "rate") -> list[float]:
    """Return images per second by repeat; the better of several numbers of loader processes."""
    by_loaders: dict[int, list[float]] = {}
    for row in rows:
        if row["what"] == what and row["side"] == side and (row["network"], row["batch"]) == at:
            by_loaders.setdefault(row["loaders"], []).append(row[key])
    return max(by_loaders.values(), key=statistics.median)


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of each repeat."""
    return [a / b for a, b in zip(above, below, strict=True)]


def shares(rows: Sequence[Row], what: str, at: Cell) -> list[float]:
    """Return, by repeat, the share of the matmul peak that was measured beside it."""
    (macs,) = (r["macs"] for r in rows if r["what"] == "macs" and r["network"] == at[0])
    return [
        _OPERATIONS * macs * r["rate"] / r["peak"]
        for r in rows
        if r["what"] == what and (r["network"], r["batch"]) == at and r["peak"]
    ]


def speedups(rows: Sequence[Row], what: str, at: Cell, key: str = "rate") -> list[float]:
    """Return the ratio to vanilla by repeat."""
    return ratios(rates(rows, what, "ours", at, key), rates(rows, what, "vanilla", at, key))


def mean_ratio(rows: Sequence[Row], what: str, key: str = "rate") -> float:
    """Return the geometric mean over the cells of the median ratios to vanilla."""
    return statistics.geometric_mean(
        statistics.median(speedups(rows, what, at, key)) for at in cells(rows)
    )


def by_cell(rows: Sequence[Row], what: str) -> str:
    """Return the table of one setting, a line for each network and batch size."""
    lines = [
        [
            *at,
            cell(rates(rows, what, "ours", at), 0),
            cell(rates(rows, what, "vanilla", at), 0),
            cell(speedups(rows, what, at), 2),
            cell(shares(rows, what, at), 2),
        ]
        for at in cells(rows)
    ]
    columns = ["network", "batch", "images/s", "vanilla images/s", "ratio", "share of peak"]
    return markdown(columns, lines)


def _allocator(rows: Sequence[Row], at: Cell) -> list[float]:
    return ratios(rates(rows, "one", "ours", at), rates(rows, "default allocator", "ours", at))


def _efficiency(rows: Sequence[Row], at: Cell) -> list[float]:
    together, alone = rates(rows, "two", "ours", at), rates(rows, "alone", "ours", at)
    return [value / 2 for value in ratios(together, alone)]


def _package(rows: Sequence[Row]) -> tuple[float, float]:
    """Return seconds beyond training and their share of a narrow epoch in one process."""
    (row,) = (r for r in rows if r["what"] == "package")
    rate = statistics.median(rates(rows, "one", "ours", ("narrow", 64)))
    return row["seconds"], row["seconds"] * rate / row["images"]


def _summary(rows: Sequence[Row]) -> str:
    loader = [r["ours"] / r["vanilla"] for r in rows if r["what"] == "loader"]
    seconds, share = _package(rows)

    def over_cells(values: Callable[[Sequence[Row], Cell], list[float]]) -> str:
        return cell([statistics.median(values(rows, at)) for at in cells(rows)], 2)

    lines = [
        ["ratio to vanilla, one process, geometric mean", f"{mean_ratio(rows, 'one'):.2f}", "1.7"],
        ["ratio to vanilla, two workers, geometric mean", f"{mean_ratio(rows, 'two'):.2f}", "2.0"],
        ["the same per CPU second", f"{mean_ratio(rows, 'two', 'cpu_rate'):.2f}", "-"],
        ["data path alone per CPU second, ratio to the DataLoader", cell(loader, 1), "10"],
        ["two workers over twice one alone", over_cells(_efficiency), "0.90"],
        ["allocator's settings over its defaults", over_cells(_allocator), "-"],
        [
            f"package beyond training ({seconds:.3f} s), share of a narrow epoch",
            f"{100 * share:.2f} %",
            "at most 1 %",
        ],
    ]
    return markdown(["measure", "found", "goal"], lines)


def tables(head: Row, rows: Sequence[Row]) -> str:
    """Return all tables; n is the number of repeats."""
    return "\n\n".join(
        [
            _summary(rows),
            "One process with every core:",
            by_cell(rows, "one"),
            "Two single-threaded processes, each with a candidate, images summed:",
            by_cell(rows, "two"),
        ]
    )


def _padding(rows: Sequence[Row]) -> str:
    lines = []
    for size in dict.fromkeys(row["images"] for row in rows):
        padded, plain = (
            [row[key] for row in rows if row["images"] == size] for key in ("padded", "plain")
        )
        both = (cell(padded, 0), cell(plain, 0), cell(ratios(padded, plain), 2))
        lines.append([size, *both])
    return markdown(["batch", "padded images/s", "plain images/s", "ratio"], lines)


def card_tables(head: Row, measured: Sequence[Row]) -> str:
    """Return the tables of :mod:`benchmarks.training.gpu`; n is the number of repeats."""
    parts = []
    for what, title in (("one", "One process"), ("two", "Two processes on the card, summed")):
        ratio = f"geometric mean of the ratios {mean_ratio(measured, what):.2f}"
        parts += [f"{title}; {ratio}:", by_cell(measured, what)]
    parts += ["Channels padded to multiples of eight, in a network of odd numbers:"]
    parts += [_padding([row for row in measured if row["what"] == "padding"])]
    for row in measured:
        if row["what"] == "search":
            text = f"The seed's search, {row['trials']} networks and {row['workers']} workers: "
            parts.append(f"{text}{row['seconds']:.0f} s.")
    return "\n\n".join([head["card"], *parts])
