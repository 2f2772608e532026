"""Soak one worker: does its memory stay flat over an hour of trials?

Run ``python -m benchmarks.sharing.soak --minutes 60 --pause 3 --save``; Linux only. One worker
proposes, counts and stores CNNs of scikit-learn's digits in SQLite; every ``--train-every``-th is
trained for an epoch. Each ``--every`` seconds a line of resident memory is written, so a run that
is cut short leaves its lines. At the end a fresh process joins the same study, loads all its
trials and trains three networks: what the old worker holds beyond it is the leak, for every worker
keeps the study's trials in memory. A pause of 3 seconds takes about a tenth of a core.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import optuna
import torch

from benchmarks.common.results import Row, header, markdown, results_of
from optuna_de._allocator import bound_caches, keep_memory
from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.search.search import Search
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.stale_trials import quietly_experimental
from optuna_de.worker.optimize import Objective, optimize

RESULTS = results_of(__file__)

CAP = 200_000
"""Parameters of the largest network, so that an epoch takes about a second."""
WARM_UP = 0.1
"""Share of the time after which memory counts as warm, at most five minutes."""
COLUMNS = ("minutes", "trials", "CPU share", "warm MiB", "end MiB", "fresh MiB", "KiB/minute")


_ended = [0]
"""Trials that this process has ended."""


def resident() -> float:
    """Return this process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def prepared(url: str, train_every: int) -> tuple[optuna.Study, Objective]:
    """Open or make the study, and an objective that trains now and then."""
    search = Search(epochs=1, subset=500, max_parameters=CAP, device="cpu", halving=False)
    space, trained = search.space, search.objective()

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        if trial.number % train_every == 0:
            return trained(trial)
        genome = space.suggest(trial)
        params = float(count_parameters(genome, space.image_shape, space.classes))
        return 1 / (1 + np.log1p(params)), params

    with quietly_experimental():
        study = optuna.create_study(
            study_name="soak",
            storage=open_storage(url),
            sampler=search.sampler(),
            directions=["minimize"] * 2,
            load_if_exists=True,
        )
    return study, objective


@contextmanager
def watching(path: Path, every: float) -> Iterator[list[Row]]:
    """Append a line of time, trials, processor time and memory each ``every`` seconds."""
    rows: list[Row] = []
    began, ended = time.monotonic(), threading.Event()

    def look() -> None:
        row = {"seconds": round(time.monotonic() - began, 1), "trials": _ended[0]}
        row |= {"cpu": round(time.process_time(), 2), "rss": round(resident(), 2)}
        rows.append(row)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def run() -> None:
        while not ended.wait(every):
            look()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield rows
    finally:
        ended.set()
        thread.join()
        look()


def soak(url: str, path: Path, args: argparse.Namespace) -> list[Row]:
    """Work for the asked time and return the lines."""
    study, objective = prepared(url, args.train_every)

    def pause(_study: optuna.Study, _trial: optuna.trial.FrozenTrial) -> None:
        _ended[0] += 1
        time.sleep(args.pause)

    with watching(path, args.every) as rows:
        optimize(study, objective, timeout=60 * args.minutes, callback=pause)
    return rows


def fresh(url: str) -> float:
    """Return the memory in MiB of a process that joins the study and trains three networks."""
    keep_memory()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, objective = prepared(url, 1)
    optimize(study, objective, total=len(study.get_trials(deepcopy=False)) + 3)
    return resident()


def summary(rows: Sequence[Row], joined: float) -> Row:
    """Return the figures of a run: memory warm, at the end, of a fresh worker, and its slope."""
    end = rows[-1]
    warm = [r for r in rows if r["seconds"] >= min(WARM_UP * end["seconds"], 300)]
    minutes = np.array([r["seconds"] / 60 for r in warm])
    slope = np.polyfit(minutes, [1024 * r["rss"] for r in warm], 1)[0] if len(warm) > 2 else 0
    share = (end["cpu"] - rows[0]["cpu"]) / max(end["seconds"] - rows[0]["seconds"], 1e-9)
    figures = (end["seconds"] / 60, end["trials"], share, warm[0]["rss"], end["rss"])
    values = (*figures, joined, float(slope))
    return {name: round(v, 3) for name, v in zip(COLUMNS, values, strict=True)}


def table(rows: Sequence[Row]) -> str:
    """Return the table of the last line."""
    last = rows[-1]
    return markdown(COLUMNS, [[last[name] for name in COLUMNS]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between trials")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between lines")
    parser.add_argument("--train-every", type=int, default=25, help="trials to one training")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    keep_memory()
    bound_caches()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = RESULTS / "soak.jsonl" if args.save else Path(folder) / "soak.jsonl"
        about = {"pause": args.pause, "every": args.every, "train_every": args.train_every}
        path.write_text(json.dumps(header(1, load=os.getloadavg()[0], **about)) + "\n")
        url = f"sqlite:///{folder}/study.db"
        rows = soak(url, path, args)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            joined = pool.apply(fresh, (url,))
        rows.append(summary(rows, joined))
        with path.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
