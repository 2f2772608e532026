"""The screened child before and after: processor time of a child with the package of two commits.

Run ``python -m benchmarks.screening.child_before --old 1b82f87 --save`` in a clone. The old commit
is checked out in a temporary folder. The processes of the two take turns on the same networks with
made-up errors; each asks for 25 children, and of each child the shortest time counts. The first is
left out, as it imports scikit-learn. The two breed children of their own, as their rules differ.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from statistics import mean, median

from benchmarks.common.commits import ROOT, checked_out, output
from benchmarks.common.results import Row, header, markdown, results_of, write
from benchmarks.screening.child_cost import SIZES
from benchmarks.screening.cost import CHILDREN

RESULTS = results_of(__file__)
CHILD = """
import json, sys, time, numpy, optuna
from optuna_de import DESampler
from optuna_de.cnn import CNNSpace
optuna.logging.set_verbosity(optuna.logging.ERROR)
space, rng = CNNSpace(), numpy.random.default_rng(0)
rules = dict(initial=space.initial, repair=space.repair, known={1: space.count_parameters})
try:
    sampler = DESampler(**rules, screening=True, seed=0)
except TypeError:  # since these are one argument
    sampler = DESampler(space=space, screening=True, seed=0)
study = optuna.create_study(study_name="c", directions=["minimize"] * 2, sampler=sampler)
for _ in range(int(sys.argv[1])):
    params = space.initial(rng)
    size = space.count_parameters(params)
    error = float(0.9 - 0.1 * numpy.log10(size) + 0.05 * rng.random())
    ranges, values = space.distributions(params), [error, float(size)]
    study.add_trial(optuna.create_trial(params=params, distributions=ranges, values=values))
spent = []
for _ in range(int(sys.argv[2])):
    start = time.process_time()
    trial = study.ask()
    space.suggest(trial)
    spent.append(1000 * (time.process_time() - start))
    study.tell(trial, (0.5, float(space.count_parameters(trial.params))))
print(json.dumps(spent[1:]))
"""


def rows(old: str, repeats: int) -> Iterator[Row]:
    """Yield the shortest milliseconds of each child of both commits at each size."""
    with checked_out(old) as before:
        for size in SIZES:
            pairs = [
                [json.loads(output(package, CHILD, size, CHILDREN)) for package in (before, ROOT)]
                for _ in range(repeats)
            ]
            for commit, runs in zip((old, "now"), zip(*pairs, strict=True), strict=True):
                least = [round(min(spent), 2) for spent in zip(*runs, strict=True)]
                yield {"networks": size, "commit": commit, "repeats": repeats, "ms": least}


def table(measured: Sequence[Row]) -> str:
    """Return median, mean and longest as Markdown."""
    lines = [
        (
            *(row["networks"], row["commit"], f"{median(row['ms']):.1f}"),
            *(f"{mean(row['ms']):.1f}", f"{max(row['ms']):.1f}", row["repeats"]),
        )
        for row in measured
    ]
    return markdown(("networks", "commit", "median, ms", "mean", "longest", "repeats"), lines)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", default="1b82f87", help="a commit of this repository")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write the results")
    args = parser.parse_args()
    measured = [*rows(args.old, args.repeats)]
    print(table(measured))
    if args.save:
        print(write(RESULTS / "child_before.jsonl", header(args.repeats), measured))


if __name__ == "__main__":
    main()
