"""What screening is worth on real training, against unscreened DE and Optuna's samplers.

``python -m benchmarks.screening.real_training digits --save`` trains networks for scikit-learn's
digits in every arm, ``cifar10 --folder FOLDER --save`` for 2,400 images of a folder with
``train/<class>/``, a third of them held out. ``halved`` is digits with early stopping; its
hypervolume is that of an arm that has spent the epochs of so many whole trainings. All arms of a
seed start from the same networks, have the same split and train equal networks alike; a network
over a cap counts as no evaluation. The hypervolume is that of log10 of error and parameters,
scaled to [0, 1], reference (1, 1).

Each study is a file in ``--studies``, so that a stopped run goes on; what the result file holds
already is not run again, so that ``--seeds 10`` after ``--seeds 5`` adds five.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.common.results import (
    Array,
    Row,
    cell,
    header,
    machine,
    markdown,
    read,
    results_of,
    versions,
    write,
)
from benchmarks.screening.run import CIFAR10, DIGITS, Job, run

RESULTS = results_of(__file__)

POINTS = (30, 60, 110)
ARMS = ("de-screened", "de", "nsga2", "tpe", "random")
HALVED = ("de-screened-halved", "de-screened-halved-blind", "de-halved")


def table(measured: Sequence[Row], budget: int) -> str:
    """Return each arm's hypervolume, and the lead of the first arm at 60 or more trainings.

    A lead is that of equal seeds; seeds that an arm lacks are left out of it.
    """
    points = [n for n in POINTS if n <= budget]
    arms: dict[str, dict[int, Array]] = {}
    for row in measured:
        arms.setdefault(row["arm"], {})[row["seed"]] = np.array([at(row, n) for n in points])
    first = next(iter(arms))
    late = [i for i, n in enumerate(points) if n >= 60]
    lines = []
    for arm, own in arms.items():
        shared = [seed for seed in own if seed in arms[first]]
        lead = np.array([arms[first][seed] - own[seed] for seed in shared])
        cells = [cell(column) for column in np.array(list(own.values())).T]
        lines.append([arm, *cells, *(cell(lead[:, i]) for i in late)])
    leads = [f"lead of {first} at {points[i]}" for i in late]
    return markdown(["arm", *map(str, points), *leads], lines)


def unstopped(rows: Sequence[Row]) -> list[Row]:
    """Return the saved rows of the same seeds without early stopping, screened and not."""
    seeds = {row["seed"] for row in rows}
    saved = read(RESULTS / "screening-digits.jsonl")[1]
    return [row for row in saved if row["arm"] in ARMS[:2] and row["seed"] in seeds]


def at(row: Row, n: int) -> float:
    """Return the hypervolume when as many epochs were spent as n whole trainings take."""
    spent = np.cumsum(row["costs"])
    last = int(np.searchsorted(spent, n + 0.01, side="right")) - 1
    return float(row["volume"][last])


def held(name: str, budget: int) -> list[Row]:
    """Return the saved rows of that budget.

    Raises:
        SystemExit: Where they were measured on another machine or with other versions.
    """
    path = RESULTS / f"{name}.jsonl"
    if not path.exists():
        return []
    head, rows = read(path)
    alike = head["versions"].items() <= versions().items() and head["machine"] == machine()
    if head["budget"] != budget or not alike:
        raise SystemExit(f"{path.name} has another budget, machine or versions; move it away.")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["digits", "cifar10", "halved"])
    parser.add_argument("--folder", type=Path, help="of the images, for cifar10")
    parser.add_argument("--studies", type=Path, default=Path("data/screening"))
    parser.add_argument("--arms", help="comma separated")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=110)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    if (args.what == "cifar10") != bool(args.folder):
        parser.error("cifar10 needs --folder, the others take none")
    args.studies.mkdir(parents=True, exist_ok=True)
    name = f"screening-{args.what}"
    rows = {(row["arm"], row["seed"]): row for row in held(name, args.budget)}
    arms = args.arms.split(",") if args.arms else HALVED if args.what == "halved" else ARMS
    task = CIFAR10 if args.folder else DIGITS
    wanted = [(arm, seed) for seed in range(args.seeds) for arm in arms]
    jobs = [
        Job(task, *key, args.budget, args.folder, args.studies)
        for key in wanted
        if key not in rows
    ]
    with get_context("spawn").Pool(2) as pool:
        rows |= {(row["arm"], row["seed"]): row for row in pool.map(run, jobs, chunksize=1)}
    print(table([rows[key] for key in wanted], args.budget))
    if args.save:
        print(
            write(
                RESULTS / f"{name}.jsonl",
                header(args.seeds, budget=args.budget),
                ordered(rows, arms),
            )
        )


def ordered(rows: Mapping[tuple[str, int], Row], arms: Sequence[str]) -> list[Row]:
    """Return rows by seed, then in the order of the arms; other arms come last."""
    places = {arm: i for i, arm in enumerate(arms)}
    keys = sorted(rows, key=lambda key: (key[1], places.get(key[0], len(places))))
    return [rows[key] for key in keys]


if __name__ == "__main__":
    main()
