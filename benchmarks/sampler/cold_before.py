"""The cold sampler before and after: a new process's first ask with the package of two commits.

Run ``python -m benchmarks.sampler.cold_before --old 1b82f87 --save`` in a clone. The old commit is
checked out in a temporary folder. The processes of the two take turns on the same random trials of
ten floats and two objectives; seconds are of processor time, and the shortest counts.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.common.commits import ROOT, checked_out, output
from benchmarks.common.results import Row, header, markdown, results_of, write
from benchmarks.sampler.cold_start import make

RESULTS = results_of(__file__)
SIZES = (1000, 20000)
CHILD = """
import gc, pickle, sys, time, optuna
from optuna_de import DESampler
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(study_name="cold start", directions=["minimize"] * 2)
with open(sys.argv[1], "rb") as stream:
    while stream.peek(1):
        study.add_trial(pickle.load(stream))
study.sampler = DESampler(seed=0)
gc.collect()
start = time.process_time()
trial = study.ask()
for i in range(10):
    trial.suggest_float(f"x{i}", 0, 1)
print(time.process_time() - start)
"""


def rows(old: str, repeats: int) -> Iterator[Row]:
    """Yield the seconds of both commits at each size."""
    with checked_out(old) as before, tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            make("flat", size, file := Path(folder, f"{size}.pickle"))
            pairs = [
                [round(float(output(package, CHILD, file)), 4) for package in (before, ROOT)]
                for _ in range(repeats)
            ]
            for commit, seconds in zip((old, "now"), zip(*pairs, strict=True), strict=True):
                yield {"trials": size, "commit": commit, "seconds": list(seconds)}


def table(measured: Sequence[Row]) -> str:
    """Return the shortest times as Markdown."""
    lines = [
        (f"{row['trials']:,}", row["commit"], f"{min(row['seconds']):.3f}", len(row["seconds"]))
        for row in measured
    ]
    return markdown(["trials", "commit", "first ask, s", "repeats"], lines)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", default="1b82f87", help="a commit of this repository")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="write the results")
    args = parser.parse_args()
    measured = list(rows(args.old, args.repeats))
    print(table(measured))
    if args.save:
        print(write(RESULTS / "cold_before.jsonl", header(args.repeats), measured))


if __name__ == "__main__":
    main()
