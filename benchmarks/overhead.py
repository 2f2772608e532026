"""The sampler's own cost: ask, suggest ten numbers and tell, by the number of finished trials.

Run ``python -m benchmarks.overhead``. Studies of two objectives are filled with ``add_trials``,
then trials are timed one by one; the first is reported apart, it reads the whole history. NSGA-II
finds the filled trials marked as its generations of 50, as if it had made them.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, create_trial

from benchmarks.common import Row, header, markdown, spread, write
from benchmarks.peers import maker, quiet
from optuna_de.storage import open_storage

SIZES = (100, 1000, 5000, 20000)
NAMES = tuple(f"x{i}" for i in range(10))
BOX = FloatDistribution(0, 1)
GENERATION = 50
PATIENCE = 60.0  # seconds after which a slow sampler's trials are no longer timed


def finished(count: int, start: int) -> list[FrozenTrial]:
    """Return random finished trials number ``start`` to ``count``, marked for NSGA-II."""
    rng = np.random.default_rng(start)
    return [
        create_trial(
            params=dict(zip(NAMES, map(float, rng.random(10)), strict=True)),
            distributions=dict.fromkeys(NAMES, BOX),
            values=list(map(float, rng.random(2))),
            system_attrs={"NSGAIISampler:generation": number // GENERATION},
        )
        for number in range(start, count)
    ]


def fill(study: Study, size: int) -> None:
    """Grow a study to ``size`` trials; NSGA-II's last parents are its last but one generation."""
    study.add_trials(finished(size, len(study.trials)))
    last = size // GENERATION - 1
    ids = [t._trial_id for t in study.trials[(last - 1) * GENERATION : last * GENERATION]]
    key = f"NSGAIISampler:parent:{last}"
    study._storage.set_study_system_attr(study._study_id, key, ids)


def create(storage: BaseStorage) -> Study:
    """Return the study of this benchmark in a storage, made where it is missing."""
    return optuna.create_study(
        storage=storage,
        study_name="overhead",
        directions=[StudyDirection.MINIMIZE] * 2,
        load_if_exists=True,
    )


def timed(study: Study, asks: int) -> list[float]:
    """Return the milliseconds of up to ``asks`` trials, fewer when they take too long."""
    rng = np.random.default_rng(0)
    times: list[float] = []
    while len(times) < asks and sum(times) < PATIENCE * 1000:
        start = time.perf_counter()
        trial = study.ask()
        for name in NAMES:
            trial.suggest_float(name, 0, 1)
        study.tell(trial, list(map(float, rng.random(2))))
        times.append(1000 * (time.perf_counter() - start))
    return times


def measure(study: Study, name: str, asks: int, **about: object) -> Row:
    """Return the row of one sampler on a study that no other has touched."""
    study.sampler = maker(name)(0)
    first, *rest = timed(study, asks + 1)
    low, middle, high = spread(rest or [first])
    quartiles = {"low": low, "median": middle, "high": high}
    return {**about, "sampler": name, "first": first, **quartiles, "asks": len(rest)}


def in_memory(samplers: Sequence[str], sizes: Sequence[int], asks: int) -> list[Row]:
    """Measure on studies in memory."""
    rows = []
    for size in sizes:
        for name in samplers:
            study = create(InMemoryStorage())
            fill(study, size)
            rows.append(measure(study, name, asks, storage="memory", trials=size))
    return rows


def on_sqlite(samplers: Sequence[str], sizes: Sequence[int], asks: int) -> list[Row]:
    """Measure on copies of one SQLite file, opened by ``optuna_de.storage.open_storage``."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.db"
        for size in sizes:
            storage = open_storage(f"sqlite:///{source}", heartbeat_interval=None)
            fill(create(storage), size)
            storage.engine.dispose()  # type: ignore[attr-defined]
            for name in samplers:
                copy = Path(folder) / f"{size}-{name}.db"
                shutil.copy(source, copy)
                study = create(open_storage(f"sqlite:///{copy}", heartbeat_interval=None))
                rows.append(measure(study, name, asks, storage="sqlite", trials=size))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the results as Markdown, with the ratio to RandomSampler of the same size."""
    base = {(r["storage"], r["trials"]): r["median"] for r in rows if r["sampler"] == "random"}
    lines = [
        (
            *(r["storage"], r["trials"], r["sampler"], f"{r['first']:.1f}"),
            f"{r['median']:.2f} [{r['low']:.2f}, {r['high']:.2f}]",
            f"{r['median'] / base[r['storage'], r['trials']]:.1f}",
            r["asks"],
        )
        for r in rows
    ]
    columns = ["storage", "trials", "sampler", "first, ms", "ms", "times random", "asks"]
    return markdown(columns, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samplers", default="random,de,nsga2-50,tpe", help="comma separated")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="comma separated")
    parser.add_argument("--asks", type=int, default=50)
    parser.add_argument("--storage", choices=["memory", "sqlite", "both"], default="both")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    samplers, sizes = args.samplers.split(","), list(map(int, args.sizes.split(",")))
    rows = []
    if args.storage != "sqlite":
        rows += in_memory(samplers, sizes, args.asks)
    if args.storage != "memory":
        rows += on_sqlite(samplers, sizes, args.asks)
    print(table(rows))
    if args.save:
        print(write("overhead", header(args.asks), rows))


if __name__ == "__main__":
    main()
