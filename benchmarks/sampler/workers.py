"""Many workers: which finished trials a sampler never selects from, and what the haste costs.

Run ``python -m benchmarks.sampler.workers --save``; for screening, whose budgets are small, add
``--samplers de-screened,de,nsga2,random --workers 1,8,50 --points 60,110,200 --name
workers-screened``. One process simulates the workers by events: a free worker asks, its trial
lasts a log-normal time (median 1, sigma 0.5), and it is told at its end.

*Lost*, one black-box definition for all samplers: in a study of its own, every 50th finished
trial is a probe, told losses that dominate all before it. A survivor selection in which a probe
takes part keeps it, so it must turn up among the parents of some later child; a probe that never
does is lost. Judged are the probes told in the first two thirds of the study, so that all had
time. Parents are read from the storage: NSGA-II's cached parent populations, DESampler's plans.

*Regret* is that of :mod:`benchmarks.sampler.tables_regret`, in a study without probes, at equal
numbers of evaluations: the first finished ones in the order of their completion.
"""

from __future__ import annotations

import argparse
import heapq
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool

import numpy as np
import optuna
from optuna.study import Study, StudyDirection

from benchmarks.common.peers import MakeSampler, maker, quiet
from benchmarks.common.results import Array, Row, cell, header, markdown, results_of, write
from benchmarks.common.tabular import NAMES, Table, load
from benchmarks.sampler.tables_regret import prices

RESULTS = results_of(__file__)

PLAN = "optuna_de:v1:plan"
PROBE = 50


@dataclass(frozen=True)
class Log:
    """A simulated study, the losses (n, objectives) and the probes' numbers, as they ended."""

    study: Study
    losses: Array
    probes: tuple[int, ...]


def simulate(
    make_sampler: MakeSampler, table: Table, workers: int, seed: int, budget: int, probing: bool
) -> Log:
    """Run a study of ``budget`` evaluations on simulated workers."""
    study = optuna.create_study(
        directions=[StudyDirection.MINIMIZE] * table.losses.shape[-1],
        sampler=make_sampler(seed),
        study_name=f"{table.name}-{workers}-{seed}",
    )
    rng = np.random.default_rng(seed)
    running: list[tuple[float, int, optuna.Trial]] = []
    losses, probes = list[list[float]](), list[int]()
    now, asked = 0.0, 0
    while len(losses) < budget:
        while len(running) < workers and asked < budget:
            trial = study.ask(dict(table.space))
            heapq.heappush(running, (now + rng.lognormal(0, 0.5), trial.number, trial))
            asked += 1
        now, _, trial = heapq.heappop(running)
        values = table.values(trial.params)
        if probing and len(losses) % PROBE == PROBE - 1:
            probes.append(trial.number)
            values = [-float(len(probes))] * len(values)
        losses.append(values)
        study.tell(trial, values)
    return Log(study, np.array(losses), tuple(probes))


def parents(study: Study) -> set[int]:
    """Return the numbers of all trials that were ever among the parents of a child."""
    trials = study.get_trials(deepcopy=False)
    attributes = study._storage.get_study_system_attrs(study._study_id)
    cached = [ids for key, ids in attributes.items() if ":parent:" in key]
    numbers = {trial._trial_id: trial.number for trial in trials}
    planned = [
        trial.system_attrs[PLAN]["parents"] for trial in trials if PLAN in trial.system_attrs
    ]
    return {numbers[i] for ids in cached for i in ids} | {n for plan in planned for n in plan}


def lost(log: Log) -> tuple[int, int]:
    """Return how many of the judged probes never were parents, and how many are judged."""
    judged = log.probes[: len(log.probes) * 2 // 3]
    return len(set(judged) - parents(log.study)), len(judged)


Job = tuple[str, str, int, int, tuple[int, ...]]
"""Sampler, table, workers, seed, evaluations after which to look; the last is the budget."""


def _job(job: Job) -> Row:
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    name, table_name, workers, seed, points = job
    budget, table = points[-1], load(table_name)
    make = maker(name, prices(table))
    missing, judged = lost(simulate(make, table, workers, seed, budget, True))
    losses = simulate(make, table, workers, seed, budget, False).losses
    regret = {str(n): table.best - table.volume(losses[:n]) for n in points}
    row = {"sampler": name, "workers": workers, "seed": seed}
    return {**row, "lost": missing, "judged": judged, "regret": regret}


def lines(rows: Sequence[Row]) -> tuple[list[str], list[list[object]]]:
    """Return the columns and the lines of the table."""
    cells: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["sampler"], row["workers"]), []).append(row)
    points = list(rows[0]["regret"])
    body = [
        [name, workers, f"{sum(r['lost'] for r in group) / sum(r['judged'] for r in group):.0%}"]
        + [cell([r["regret"][n] for r in group]) for n in points]
        for (name, workers), group in cells.items()
    ]
    return ["sampler", "workers", "lost", *(f"regret at {n}" for n in points)], body


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=NAMES, default="nb201-cifar10-params")
    parser.add_argument("--samplers", default="de,nsga2,nsga2-50", help="comma separated")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=_numbers, default=(1, 8, 32, 100, 200, 600))
    parser.add_argument("--points", type=_numbers, default=(500, 1000, 2000))
    parser.add_argument("--name", default="workers", help="of the result")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    jobs = [
        (name, args.table, workers, seed, args.points)
        for name in args.samplers.split(",")
        for workers in args.workers
        for seed in range(args.seeds)
    ]
    with Pool(2) as pool:
        rows = pool.map(_job, jobs, chunksize=1)
    print(f"{args.table}: {args.points[-1]} evaluations, n = {args.seeds} seeds")
    print(markdown(*lines(rows)))
    if args.save:
        head = header(args.seeds, table=args.table, budget=args.points[-1])
        print(write(RESULTS / f"{args.name}.jsonl", head, rows))


if __name__ == "__main__":
    main()
