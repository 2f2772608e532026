"""The cost of a screened child: processor time beside an unscreened one, and its profile.

Run ``OMP_NUM_THREADS=1 python -m benchmarks.screening.child_cost --save``. Studies in memory hold
so many networks of the modern space with made-up errors; then 25 children are asked for, suggested
and told. Each repeat is a process of its own, so that no cache is warm from the one before. All
breed the same children, so of each child the shortest time counts; the first is left out, as it
imports scikit-learn. The profile is of the same children, in a run of its own.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import mean

import optuna

from benchmarks.common.peers import quiet
from benchmarks.common.results import Row, cell, header, markdown, results_of, write
from benchmarks.screening.cost import CHILDREN, made_up
from optuna_de import DESampler
from optuna_de.cnn import CNNSpace

RESULTS = results_of(__file__)

SIZES = (100, 300)
NAMES = ("read", "write", "decode", "encode", "count_parameters")
"""Functions of the package whose calls and shares of the time the profile tells."""


def study_of(trials: Sequence[optuna.trial.FrozenTrial], screening: bool) -> optuna.Study:
    """Return a study of these trials with a new sampler."""
    sampler = DESampler(space=CNNSpace(), screening=screening, seed=0)
    # A name, because it seeds the children.
    study = optuna.create_study(
        study_name="child cost", directions=["minimize"] * 2, sampler=sampler
    )
    study.add_trials(trials)
    return study


def child(study: optuna.Study, space: CNNSpace) -> float:
    """Return the milliseconds of processor time of one trial."""
    start = time.process_time()
    trial = study.ask()
    space.suggest(trial)
    spent = time.process_time() - start
    study.tell(trial, (0.5, float(space.count_parameters(trial.params))))
    return 1000 * spent


def times(n: int, screening: bool) -> list[float]:
    """Return the milliseconds of each child but the first in a study of n networks."""
    space = CNNSpace()
    study = study_of(made_up(space, n).get_trials(deepcopy=False), screening)
    return [child(study, space) for _ in range(CHILDREN)][1:]


def timed(n: int, screening: bool, repeats: int) -> Row:
    """Return the shortest time of each child, over repeats in processes of their own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.screening.child_cost"]
    one = [*command, "--child", str(n), str(int(screening))]
    runs = [json.loads(subprocess.check_output(one, text=True)) for _ in range(repeats)]
    least = [round(min(spent), 2) for spent in zip(*runs, strict=True)]
    return {"what": "time", "n": n, "screening": screening, "repeats": repeats, "ms": least}


def profiled(n: int) -> Row:
    """Return calls and shares of the time, of a screened child in a study of n networks."""
    space = CNNSpace()
    study = study_of(made_up(space, n).get_trials(deepcopy=False), True)
    child(study, space)
    profile = cProfile.Profile()
    for _ in range(CHILDREN - 1):
        profile.enable()
        trial = study.ask()
        space.suggest(trial)
        profile.disable()
        study.tell(trial, (0.5, float(space.count_parameters(trial.params))))
    return {"what": "profile", "n": n, **summary(pstats.Stats(profile))}


def summary(stats: pstats.Stats) -> Row:
    """Return calls a child of the named functions, and the share of the time of the outermost."""
    calls, shares = dict.fromkeys(NAMES, 0), dict.fromkeys(NAMES, 0.0)
    total: float = stats.total_tt  # type: ignore[attr-defined]
    rows = stats.stats.items()  # type: ignore[attr-defined]
    for (file, _, name), (_, count, _, cumulative, _) in rows:
        if name in NAMES and "optuna_de" in file:
            calls[name] = max(calls[name], count)
            shares[name] = max(shares[name], cumulative / total)
    children = CHILDREN - 1
    return {
        "calls": {name: round(count / children, 1) for name, count in calls.items()},
        "shares": {name: round(share, 3) for name, share in shares.items()},
        "function calls": round(stats.total_calls / children),  # type: ignore[attr-defined]
    }


def rows(sizes: Sequence[int], repeats: int) -> Iterator[Row]:
    """Yield all measurements."""
    for n in sizes:
        for screening in (False, True):
            yield timed(n, screening, repeats)
        yield profiled(n)


def table(measured: Sequence[Row]) -> str:
    """Return the times and the profile as two tables."""
    times = [
        [
            *(r["n"], "yes" if r["screening"] else "no", cell(r["ms"], 1)),
            *(f"{mean(r['ms']):.1f}", f"{max(r['ms']):.1f}", r["repeats"]),
        ]
        for r in measured
        if r["what"] == "time"
    ]
    profiles = [
        [r["n"], r["function calls"], *(f"{r['calls'][k]} ({r['shares'][k]:.0%})" for k in NAMES)]
        for r in measured
        if r["what"] == "profile"
    ]
    first = markdown(
        ["networks", "screened", "ms of a child", "mean", "longest", "repeats"], times
    )
    second = markdown(["networks", "all calls", *NAMES], profiles)
    return f"{first}\n\nCalls a child, and their share of its time:\n\n{second}"


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="comma separated")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write the results")
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    quiet()
    if args.child:
        print(json.dumps(times(args.child[0], bool(args.child[1]))))
        return
    measured = list(rows(list(map(int, args.sizes.split(","))), args.repeats))
    print(table(measured))
    if args.save:
        print(
            write(
                RESULTS / "child_cost.jsonl",
                header(CHILDREN - 1, threads=os.environ.get("OMP_NUM_THREADS")),
                measured,
            )
        )


if __name__ == "__main__":
    main()
