"""How long a report of many trials takes: to write, and to open in a browser until it answers.

Run ``python -m benchmarks.report.page_load --save``; it needs playwright and a Chromium. Opening
is timed from the address being entered until every trial has its mark in the front's plot and the
first network its drawing, each time in a new tab. The space drew the networks, their errors are
made up.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna

from benchmarks.common.results import Row, cell, header, markdown, results_of, write
from optuna_de.cnn.report.report import write_report
from tests.browser import chromium, opened
from tests.cnn.report.kit import networks

RESULTS = results_of(__file__)

SHOWN = """n => document.querySelectorAll("#front-plot .scatterlayer .points path").length === n
  && document.querySelectorAll("#network svg[role=img]").length === 1"""


def opening(context: Any, path: Path, trials: int) -> float:
    """Return the seconds until a report in a new tab shows all its trials."""
    start = time.perf_counter()
    with opened(context, path.as_uri()) as page:
        page.wait_for_function(SHOWN, arg=trials)
        return time.perf_counter() - start


def measure(trials: int, repeats: int, folder: Path) -> Row:
    """Write one report ``repeats`` times, then open it as often, after one that warms up."""
    study, written = networks(trials), []
    for _ in range(repeats):
        start = time.perf_counter()
        path = write_report(study, folder / f"{trials}.html")
        written.append(time.perf_counter() - start)
    with chromium(folder / f"profile{trials}") as context:
        seconds = [opening(context, path, trials) for _ in range(repeats + 1)][1:]
    size = path.stat().st_size / 2**20
    return {"trials": trials, "mib": round(size, 2), "write": written, "open": seconds}


def table(rows: Sequence[Row]) -> str:
    """Return the table of seconds."""
    lines = [
        [
            f"{row['trials']:,}",
            row["mib"],
            cell(row["write"], 2),
            cell(row["open"], 2),
            f"{max(row['open']):.2f}",
        ]
        for row in rows
    ]
    return markdown(["trials", "MiB", "s to write", "s to open", "slowest"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[40, 2000])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rows = [measure(trials, args.repeats, Path(folder)) for trials in args.trials]
    print(table(rows))
    if args.save:
        print(write(RESULTS / "report_page.jsonl", header(args.repeats), rows))


if __name__ == "__main__":
    main()
