"""What a storage costs one trial of a 15-layer network: 45 parameters and 3 attributes.

Run ``python -m benchmarks.sharing.storage_cost --save``. The storages take turns, so that a busy
machine slows all alike; each trial is timed from ask to tell, on the wall and as processor time.
*Optuna* is ``RDBStorage`` as it comes. On a busy machine ``chrt -f 10`` before the command lets it
run before all others, as on an idle one; the file notes that.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.storages import RDBStorage

from benchmarks.common.results import Row, cell, header, markdown, results_of, write
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.stale_trials import quietly_experimental

RESULTS = results_of(__file__)

LAYERS = 15


def objective(trial: optuna.Trial) -> float:
    """Suggest three numbers a layer and leave three attributes."""
    for layer in range(LAYERS):
        trial.suggest_categorical(f"layers.{layer}.kind", ("conv", "max", "avg"))
        trial.suggest_int(f"layers.{layer}.conv.channels", 8, 512, log=True)
        trial.suggest_int(f"layers.{layer}.conv.kernel", 1, 7, step=2)
    for name in ("architecture", "macs", "curve"):
        trial.set_user_attr(name, "C7k3-" * LAYERS)
    return 0.0


def timed(study: optuna.Study) -> tuple[float, float]:
    """Return the milliseconds of one trial: wall, processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    study.optimize(objective, n_trials=1)
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def studies(folder: Path) -> dict[str, optuna.Study]:
    """Make an empty study in each storage."""
    with quietly_experimental():
        storages = {
            "open_storage SQLite": open_storage(f"sqlite:///{folder}/ours.db"),
            "Optuna SQLite": RDBStorage(f"sqlite:///{folder}/plain.db"),
            "open_storage journal": open_storage(f"journal:///{folder}/ours.log"),
        }
    sampler = optuna.samplers.RandomSampler(seed=0)
    return {
        name: optuna.create_study(storage=storage, sampler=sampler)
        for name, storage in storages.items()
    }


def measure(repeats: int) -> list[Row]:
    """Time ``repeats`` trials of each storage in turns, after one that warms up."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        all_studies = studies(Path(folder))
        rows: list[Row] = [{"storage": name, "wall": [], "cpu": []} for name in all_studies]
        for repeat in range(-1, repeats):
            for row, study in zip(rows, all_studies.values(), strict=True):
                wall, cpu = timed(study)
                if repeat >= 0:
                    row["wall"].append(round(wall, 2))
                    row["cpu"].append(round(cpu, 2))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the table of milliseconds."""
    lines = [[row["storage"], cell(row["wall"], 0), cell(row["cpu"], 0)] for row in rows]
    return markdown(["storage", "ms on the wall", "ms of processor"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = measure(args.repeats)
    print(table(rows))
    if args.save:
        first = os.sched_getscheduler(0) == os.SCHED_FIFO
        about = {"parameters": 3 * LAYERS, "attributes": 3, "load": os.getloadavg()[0]}
        head = header(args.repeats, before_others=first, **about)
        print(write(RESULTS / "storage_cost.jsonl", head, rows))


if __name__ == "__main__":
    main()
