"""Hypervolume regret on tabular benchmarks: how far a sampler stays from the whole table's front.

Run ``python benchmarks/sampler/tables_regret.py --table nb201-cifar10-params --samplers
de,nsga2,random --seeds 30 --budget 500``. Options of DESampler are compared by ``--de '{"n_best":
5}'``, given as often as wanted. The regret is the best hypervolume minus that of all evaluated
points: log10 of both objectives, scaled by the table's minimum and maximum, reference (1, 1). With
one objective it is the least loss found minus the least of the table. ``de-screened`` is told the
parameters, which follow from the genome, as exact; latency was measured, so it has to predict it.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import optuna
from optuna.study import StudyDirection

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.common.peers import MakeSampler, maker, quiet
from benchmarks.common.results import (
    Array,
    Row,
    added,
    cell,
    header,
    markdown,
    results_of,
    write,
)
from benchmarks.common.tabular import NAMES, Table, load
from optuna_de.sampler.space import Prices

RESULTS = results_of(__file__)

CHECKPOINTS = (60, 110, 200, 500)
ALL = "de,random,nsga2,nsga2-50,nsga3,tpe,regevo,seed-rules"


def run(make_sampler: MakeSampler, table: Table, seed: int, budget: int) -> Array:
    """Return the regret after each of ``budget`` evaluations, shape (budget,)."""
    directions = [StudyDirection.MINIMIZE] * table.losses.shape[-1]
    study = optuna.create_study(
        directions=directions, sampler=make_sampler(seed), study_name=f"{table.name}-{seed}"
    )
    losses = np.empty((budget, len(directions)))
    for row in losses:
        trial = study.ask(dict(table.space))
        row[:] = table.values(trial.params)
        study.tell(trial, list(row))
    return regrets(table, losses)


def prices(table: Table) -> Prices:
    """Return what can be computed without training: the parameters, where they are a loss."""
    return {1: lambda params: table.values(params)[1]} if table.name.endswith("-params") else {}


def regrets(table: Table, losses: Array) -> Array:
    """Return the regret of each prefix of losses (budget, objectives)."""
    if losses.shape[1] == 1:
        best: Array = np.minimum.accumulate(losses[:, 0]) - table.best
        return best
    return np.array([table.best - table.volume(losses[: n + 1]) for n in range(len(losses))])


def summary(regret: Array, checkpoints: Sequence[int] = CHECKPOINTS) -> list[str]:
    """Return ``median [quartile, quartile]`` of regret (seeds, budget) at each checkpoint."""
    return [cell(regret[:, n - 1]) for n in checkpoints if n <= regret.shape[1]]


def _job(job: tuple[str, str, int, int]) -> Array:
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    sampler, table, seed, budget = job
    content = load(table)
    return run(maker(sampler, prices(content)), content, seed, budget)


def measure(
    samplers: Sequence[str], table: str, seeds: Sequence[int], budget: int
) -> dict[str, Array]:
    """Return sampler -> regrets (seeds, budget), spread over two processes."""
    load(table)  # before the fork
    jobs = [(name, table, seed, budget) for name in samplers for seed in seeds]
    with Pool(2) as pool:
        regrets = pool.map(_job, jobs, chunksize=1)
    return {
        name: np.stack(regrets[i * len(seeds) :][: len(seeds)]) for i, name in enumerate(samplers)
    }


def rows(table: str, regrets: dict[str, Array], first: int = 0) -> list[Row]:
    """Return one row a sampler and seed: its regret at every tenth evaluation from the tenth."""
    return [
        {"table": table, "sampler": name, "seed": seed, "every": 10, "regret": values.tolist()}
        for name, regret in regrets.items()
        for seed, values in enumerate(np.round(regret[:, 9::10], 6), first)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=NAMES, default="nb201-cifar10-params")
    parser.add_argument("--samplers", default=ALL, help="comma separated")
    parser.add_argument("--de", action="append", default=[], help="JSON options of DESampler")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--budget", type=int, default=500)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    parser.add_argument("--suffix", default="", help="end of the result file's name")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--into", type=Path, help="result file to add the rows to, with --save")
    args = parser.parse_args()
    samplers = [*filter(None, args.samplers.split(",")), *(f"de{text}" for text in args.de)]
    seeds = range(args.first, args.first + args.seeds)
    regrets = measure(samplers, args.table, seeds, args.budget)
    points = [n for n in CHECKPOINTS if n <= args.budget]
    lines = [[name, *summary(regret, points)] for name, regret in regrets.items()]
    print(f"{args.table}: regret, median and quartiles, n = {args.seeds} seeds")
    print(markdown(["sampler", *map(str, points)], lines))
    if args.save:
        head = header(args.seeds, table=args.table, budget=args.budget)
        measured = rows(args.table, regrets, args.first)
        if args.into:
            head, measured = added(args.into, head, measured, "sampler")
        name = f"search-{args.table}{args.suffix}.jsonl"
        print(write(args.into or RESULTS / name, head, measured))


if __name__ == "__main__":
    main()
