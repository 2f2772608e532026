"""What screening is worth on real training, against unscreened DE and Optuna's samplers.

``python -m benchmarks.screening digits --save`` trains networks for scikit-learn's digits in
every arm, ``cifar10 --folder FOLDER --save`` for 2,400 images of a folder with
``train/<class>/``, a third of them held out. ``halved`` is digits with early stopping, the budget
counted in whole trainings. All arms of a seed start from the same networks, have the same split
and train equal networks alike; a network over a cap counts as no evaluation. The hypervolume is
that of log10 of error and parameters, scaled to [0, 1], reference (1, 1).

Each study is a file in ``--studies``, so that a stopped run goes on; what the result file holds
already is not run again, so that ``--seeds 10`` after ``--seeds 5`` adds five.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import RESULTS, Array, Row, cell, header, markdown, read, versions, write
from benchmarks.screening_run import CIFAR10, DIGITS, Job, run

POINTS = (30, 60, 110)
ARMS = ("de-screened", "de", "nsga2", "tpe", "random")
HALVED = ("de-screened-halved", "de-screened-halved-blind", "de-halved")


def table(found: Sequence[Row], budget: int) -> str:
    """Return each arm's hypervolume, and how the first arm's seeds compare with it."""
    points = [n for n in POINTS if n <= budget]
    by_arm: dict[str, Array] = {}
    for arm in dict.fromkeys(row["arm"] for row in found):
        own = [row["volume"] for row in found if row["arm"] == arm]
        by_arm[arm] = np.array([[at(volume, n) for n in points] for volume in own])
    ours = next(iter(by_arm.values()))
    leads = [f"lead at {n}" for n in points if n >= 60]
    lines = [
        [arm, *map(cell, values.T), *(cell(lead) for lead in (ours - values).T[-len(leads) :])]
        for arm, values in by_arm.items()
    ]
    return markdown(["arm", *map(str, points), *leads], lines)


def at(volume: Sequence[float], n: int) -> float:
    """Return the hypervolume after n networks, or after the last."""
    return volume[min(n, len(volume)) - 1]


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
    saved = RESULTS / f"{name}.jsonl"
    rows = read(saved)[1] if saved.exists() else []
    arms = args.arms.split(",") if args.arms else HALVED if args.what == "halved" else ARMS
    task = CIFAR10 if args.folder else DIGITS
    wanted = [(arm, seed) for seed in range(args.seeds) for arm in arms]
    held = [(row["arm"], row["seed"]) for row in rows]
    jobs = [
        Job(task, *pair, args.budget, args.folder, args.studies)
        for pair in wanted
        if pair not in held
    ]
    with get_context("spawn").Pool(2) as pool:
        rows += pool.map(run, jobs, chunksize=1)
    found = [row for pair in wanted for row in rows if (row["arm"], row["seed"]) == pair]
    print(table(found, args.budget))
    if args.save:
        about = {"versions": {**versions(), "torch": torch.__version__}}
        print(write(name, header(args.seeds, budget=args.budget, **about), found))


if __name__ == "__main__":
    main()
