"""What screening costs: milliseconds of a child by the study's size, and its share of a search.

Run ``python -m benchmarks.screening.cost --save``. Studies in memory hold so many networks of the
modern space with made-up errors; then children are asked for, suggested and told, one after the
other. The first pays for scikit-learn's import. The share is of ``optuna-de search`` on digits by
one worker: time of a trial beyond its training, over its training, with screening and without.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import optuna
import torch

from benchmarks.common.peers import quiet
from benchmarks.common.results import Row, cell, header, markdown, results_of, write
from optuna_de import DESampler
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.search.search import Search

RESULTS = results_of(__file__)

SIZES = (20, 100, 500, 1000, 2000)
CHILDREN = 25


def made_up(space: CNNSpace, n: int) -> optuna.Study:
    """Return a study of n networks whose error falls with their size, and varies."""
    rng = np.random.default_rng(0)
    study = optuna.create_study(directions=["minimize"] * 2)
    for _ in range(n):
        params = space.initial(rng)
        size = space.count_parameters(params)
        error = 0.9 - 0.1 * np.log10(size) + 0.05 * rng.random()
        study.add_trial(
            optuna.create_trial(
                params=params,
                distributions=space.distributions(params),
                values=[float(error), float(size)],
            )
        )
    return study


def asks(screening: bool, n: int) -> Row:
    """Return the milliseconds of each child in a study of n networks."""
    space = CNNSpace()
    study = made_up(space, n)
    study.sampler = DESampler(
        space=space,
        screening=screening,
        seed=0,
    )
    times = []
    for _ in range(CHILDREN):
        start = time.perf_counter()
        trial = study.ask()
        genome = space.suggest(trial)
        times.append(round(1000 * (time.perf_counter() - start), 1))
        study.tell(trial, (0.5, float(space.count_parameters(space.encode(genome)))))
    return {"what": "ask", "screening": screening, "n": n, "ms": times}


def share(screening: bool) -> Row:
    """Return the seconds of a search on digits, and those of its training."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        search = Search(
            storage=f"sqlite:///{folder}/s.db",
            artifacts=Path(folder) / "files",
            screening=screening,
            halving=False,
        )
        objective = search.objective()
        study = search.study(objective)
        study.optimize(objective, n_trials=search.total)
        trials = study.trials
    beyond = [
        (t.datetime_complete - t.datetime_start).total_seconds() - t.user_attrs["seconds"]
        for t in trials
        if t.datetime_complete is not None and t.datetime_start is not None
    ]
    training = [t.user_attrs["seconds"] for t in trials]
    spent = {"beyond": round(sum(beyond), 2), "training": round(sum(training), 2)}
    return {"what": "share", "screening": screening, **spent}


def rows() -> Iterator[Row]:
    """Yield all measurements; the screened search goes first and pays for the import."""
    for screening in (True, False):
        yield share(screening)
    for n in SIZES:
        for screening in (True, False):
            yield asks(screening, n)


def table(measured: Sequence[Row]) -> str:
    """Return both tables."""
    lines = [
        [r["n"], "yes" if r["screening"] else "no", cell(r["ms"], 0), f"{max(r['ms']):.0f}"]
        for r in measured
        if r["what"] == "ask"
    ]
    shares = [
        f"{'with' if r['screening'] else 'without'} screening {r['beyond'] / r['training']:.1%} "
        f"({r['beyond']:.1f} s beside {r['training']:.0f} s)"
        for r in measured
        if r["what"] == "share"
    ]
    columns = ["networks", "screened", "ms of a child", "longest"]
    text = f"Time beyond training in a search of 40 networks on digits: {', '.join(shares)}."
    return f"{markdown(columns, lines)}\n\n{text}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    quiet()
    measured = list(rows())
    print(table(measured))
    if args.save:
        print(write(RESULTS / "screening_cost.jsonl", header(CHILDREN), measured))


if __name__ == "__main__":
    main()
