"""The sampler's own cost: ask, suggest ten numbers and tell, by the number of finished trials.

Run ``python -m benchmarks.sampler.overhead``. Studies of one and of two objectives are filled with
``add_trials``, then the samplers' trials are timed in turns, so that a busy machine slows all
alike; it is processor time without garbage collections, as in ``timeit``. The first trial is
reported apart: it reads the whole history. The ratio is of means, as every third or fourth trial
of DESampler costs more. NSGA-II finds the filled trials marked as its generations of 50, as if it
had made them.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, create_trial

from benchmarks.common.peers import maker, quiet
from benchmarks.common.results import Row, header, markdown, results_of, spread, write
from optuna_de.storage.open_storage import open_storage

RESULTS = results_of(__file__)

SIZES = (100, 1000, 5000, 20000)
NAMES = tuple(f"x{i}" for i in range(10))
BOX = FloatDistribution(0, 1)
GENERATION = 50
DRAW = "(random() / 18446744073709551616.0 + 0.5)"  # SQLite's 64-bit integer -> [0, 1)
DATE = "strftime('%Y-%m-%d %H:%M:%f000', {}, '{}')"
COLUMNS = {
    "trials": ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"),
    "trial_params": ("trial_id", "param_name", "param_value", "distribution_json"),
    "trial_values": ("trial_id", "objective", "value", "value_type"),
    "trial_system_attributes": ("trial_id", "key", "value_json"),
}
PATIENCE = 60.0  # seconds after which a slow sampler's trials are no longer timed


def finished(count: int, start: int, objectives: int = 2) -> list[FrozenTrial]:
    """Return random finished trials number ``start`` to ``count``, marked for NSGA-II."""
    rng = np.random.default_rng(start)
    return [
        create_trial(
            params=dict(zip(NAMES, map(float, rng.random(10)), strict=True)),
            distributions=dict.fromkeys(NAMES, BOX),
            values=list(map(float, rng.random(objectives))),
            system_attrs={"NSGAIISampler:generation": number // GENERATION},
        )
        for number in range(start, count)
    ]


def fill(study: Study, size: int) -> None:
    """Grow a study to ``size`` trials; NSGA-II's last parents are its last but one generation."""
    known, objectives = len(study.get_trials(deepcopy=False)), len(study.directions)
    study.add_trials(finished(size, known, objectives))
    last = size // GENERATION - 1
    trials = study.get_trials(deepcopy=False)[(last - 1) * GENERATION : last * GENERATION]
    ids = [trial._trial_id for trial in trials]
    key = f"NSGAIISampler:parent:{last}"
    study._storage.set_study_system_attr(study._study_id, key, ids)


def create(storage: BaseStorage, objectives: int = 2) -> Study:
    """Return the study of this benchmark in a storage, made where it is missing."""
    return optuna.create_study(
        storage=storage,
        study_name="overhead",
        directions=[StudyDirection.MINIMIZE] * objectives,
        load_if_exists=True,
    )


def multiply(path: Path, size: int) -> None:
    """Copy the study's first 100 trials in SQL until there are ``size``, with new numbers.

    Adding a trial costs 15 ms, so this fills 20,000 in seconds instead of minutes. The copies
    are dated yesterday, in the order of their numbers. Knows Optuna 5's tables.
    """
    with closing(sqlite3.connect(path)) as db, db:
        for name in ("datetime_start", "datetime_complete"):
            db.execute(f"UPDATE trials SET {name} = {DATE.format(name, '-1 day')}")
        for start in range(100, size, 100):
            later = f"+{start} seconds"
            shift = {
                "trial_id": f"trial_id + {start}",
                "number": f"number + {start}",
                "datetime_start": DATE.format("datetime_start", later),
                "datetime_complete": DATE.format("datetime_complete", later),
                "param_value": DRAW,
                "value": DRAW,
                "value_json": f"(trial_id + {start} - 1) / {GENERATION}",
            }
            for table, columns in COLUMNS.items():
                chosen = ", ".join(shift.get(name, name) for name in columns)
                into = f"INSERT INTO {table} ({', '.join(columns)})"
                db.execute(f"{into} SELECT {chosen} FROM {table} WHERE trial_id <= 100")


def timed(study: Study, step: int) -> float:
    """Return the milliseconds of processor time of one trial."""
    values = list(map(float, np.random.default_rng(step).random(len(study.directions))))
    start = time.process_time_ns()
    trial = study.ask()
    for name in NAMES:
        trial.suggest_float(name, 0, 1)
    study.tell(trial, values)
    return (time.process_time_ns() - start) / 1e6


def measure(studies: dict[str, Study], asks: int, **about: object) -> list[Row]:
    """Return the rows of samplers, each on a study of its own, timed in turns."""
    times: dict[str, list[float]] = {name: [] for name in studies}
    for name, study in studies.items():
        study.sampler = maker(name)(0)
    gc.collect()
    gc.disable()
    for step in range(asks + 1):
        for name, study in studies.items():
            if sum(times[name]) < PATIENCE * 1000:
                times[name].append(timed(study, step))
    gc.enable()
    rows = []
    for name, (first, *rest) in times.items():
        low, middle, high = spread(rest or [first])
        timing = {"mean": float(np.mean(rest or [first]))}
        timing |= {"low": low, "median": middle, "high": high, "asks": len(rest)}
        rows.append({**about, "sampler": name, "first": first, **timing})
    return rows


def in_memory(samplers: Sequence[str], size: int, asks: int, objectives: int) -> list[Row]:
    """Measure on studies in memory."""
    studies = {name: create(InMemoryStorage(), objectives) for name in samplers}
    for study in studies.values():
        fill(study, size)
    return measure(studies, asks, storage="memory", trials=size, objectives=objectives)


def on_sqlite(samplers: Sequence[str], size: int, asks: int, objectives: int) -> list[Row]:
    """Measure on copies of one SQLite file, opened by ``optuna_de.open_storage``."""

    def opened(path: Path) -> Study:
        storage = open_storage(f"sqlite:///{path}", heartbeat_interval=None)
        return create(storage, objectives)

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.db"
        fill(opened(source), 100)
        gc.collect()  # closes the connection, and so writes the log back into the file
        multiply(source, size)
        fill(opened(source), size)
        gc.collect()
        studies = {
            name: opened(Path(shutil.copy(source, Path(folder) / f"{name}.db")))
            for name in samplers
        }
        return measure(studies, asks, storage="sqlite", trials=size, objectives=objectives)


def table(rows: Sequence[Row]) -> str:
    """Return the results as Markdown, with the ratio to RandomSampler of the same size."""
    base = {_case(row): row["mean"] for row in rows if row["sampler"] == "random"}
    lines = [
        (
            *(*_case(r), r["sampler"], f"{r['first']:.1f}"),
            f"{r['median']:.2f} [{r['low']:.2f}, {r['high']:.2f}]",
            f"{r['mean']:.2f}",
            f"{r['mean'] / base[_case(r)]:.1f}",
            r["asks"],
        )
        for r in rows
    ]
    columns = ["storage", "trials", "objectives", "sampler"]
    return markdown([*columns, "first, ms", "ms", "mean", "times random", "asks"], lines)


def _case(row: Row) -> tuple[str, int, int]:
    return row["storage"], row["trials"], row["objectives"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samplers", default="random,de,nsga2-50,tpe", help="comma separated")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="comma separated")
    parser.add_argument("--asks", type=int, default=50)
    parser.add_argument("--objectives", default="1,2", help="comma separated")
    parser.add_argument("--storage", choices=["memory", "sqlite", "both"], default="both")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    samplers = args.samplers.split(",")
    sizes, objectives = (list(map(int, t.split(","))) for t in (args.sizes, args.objectives))
    kinds = {"memory": [in_memory], "sqlite": [on_sqlite], "both": [in_memory, on_sqlite]}
    rows = [
        row
        for kind in kinds[args.storage]
        for size in sizes
        for count in objectives
        for row in kind(samplers, size, args.asks, count)
    ]
    print(table(rows))
    if args.save:
        print(write(RESULTS / "overhead.jsonl", header(args.asks), rows))


if __name__ == "__main__":
    main()
