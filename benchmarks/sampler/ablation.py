"""What each default of DESampler is worth: one option changed at a time, on four tables.

Run ``python -m benchmarks.sampler.ablation --save``. The score of a setting is its median regret
at the last evaluation, relative to the defaults', as the geometric mean over the tables: below 1
is better than the defaults. ``spread=hypervolume`` ranks a front by hypervolume contribution, with
the same code otherwise.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from functools import partial
from multiprocessing import Pool
from typing import Any

import numpy as np

from benchmarks.common.peers import differential, quiet
from benchmarks.common.results import Array, cell, header, markdown, results_of, write
from benchmarks.common.tabular import load
from benchmarks.sampler.tables_regret import run
from optuna_de.evolution import pareto

RESULTS = results_of(__file__)

TABLES = (
    "nb201-cifar10-params",
    "nb201-cifar100-latency",
    "hpolib-protein-params",
    "graph-cora-latency",
)
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    *({"population_size": n, "n_startup_trials": 10} for n in (10, 30)),
    *({"n_startup_trials": n} for n in (5, 20)),
    *({"offspring": n} for n in (5, 20)),
    *({"n_best": n} for n in (1, 3, 10, 20)),
    *({"scale": f} for f in (0.4, 1.0)),
    *({"crossover": p} for p in (0.25, 0.75, 1.0)),
    *({"mutation": n} for n in (0.0, 0.25, 1.0)),
    {"deduplicate": False},
    {"spread": "hypervolume"},
)


def contributions(front: Sequence[pareto.Point]) -> list[float]:
    """Return the hypervolume that each of n points of a front adds alone, ``inf`` at the ends."""
    losses = np.array(front)
    ranking = np.argsort(losses[:, 0], kind="stable")
    x, y = losses[ranking].T
    added = np.full(len(losses), np.inf)
    added[ranking[1:-1]] = (x[2:] - x[1:-1]) * (y[:-2] - y[1:-1])
    return list(added.tolist())


def _job(job: tuple[str, str, int, int]) -> Array:
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    text, table, seed, budget = job
    options = json.loads(text)
    crowding = pareto.crowding_distances
    if options.pop("spread", None) == "hypervolume":
        pareto.crowding_distances = contributions
    try:
        return run(partial(differential, **options), load(table), seed, budget)
    finally:
        pareto.crowding_distances = crowding


def measure(seeds: int, budget: int) -> dict[tuple[str, str], Array]:
    """Return (setting as JSON, table) -> final regrets (seeds,)."""
    for table in TABLES:
        load(table)  # before the fork
    keys = [(json.dumps(setting), table) for setting in SETTINGS for table in TABLES]
    jobs = [(*key, seed, budget) for key in keys for seed in range(seeds)]
    with Pool(2) as pool:
        regrets = pool.map(_job, jobs, chunksize=4)
    last = np.array([regret[-1] for regret in regrets]).reshape(len(keys), seeds)
    return dict(zip(keys, last, strict=True))


def table(regrets: dict[tuple[str, str], Array]) -> str:
    """Return the Markdown table of median regrets and the score of each setting."""
    lines = []
    for setting in SETTINGS:
        text = json.dumps(setting)
        ratios = [np.median(regrets[text, t]) / np.median(regrets["{}", t]) for t in TABLES]
        score = float(np.exp(np.mean(np.log(np.maximum(ratios, 1e-6)))))
        name = ", ".join(f"{k}={v}" for k, v in setting.items()) or "defaults"
        lines.append([name, *(cell(regrets[text, t]) for t in TABLES), f"{score:.2f}"])
    return markdown(["setting", *TABLES, "score"], lines)


def main() -> None:
    """Measure, print the table, and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    regrets = measure(args.seeds, args.budget)
    print(f"Median regret [quartiles] at {args.budget} evaluations, n = {args.seeds} seeds")
    print(table(regrets))
    if args.save:
        rows = (
            {"setting": json.loads(text), "table": name, "regret": np.round(v, 6).tolist()}
            for (text, name), v in regrets.items()
        )
        print(write(RESULTS / "ablation.jsonl", header(args.seeds, budget=args.budget), rows))


if __name__ == "__main__":
    main()
