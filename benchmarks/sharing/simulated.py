"""A process of simulated workers on one study, see :mod:`benchmarks.sharing.many_workers`."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from optuna_de import DESampler
from optuna_de.storage.open_storage import open_storage

NAMES = tuple(f"x{i}" for i in range(10))
BEFORE = 50
"""Finished trials of a study before the workers start, so that the sampler breeds at once."""


def values(x: list[float]) -> list[float]:
    """Return two objectives with a front."""
    return [sum(x), sum((v - 1) ** 2 for v in x)]


def study_of(url: str, name: str, threads: int, sampler: str) -> optuna.Study:
    """Open or make the study as one process of workers does."""
    samplers = {"random": optuna.samplers.RandomSampler, "de": DESampler}
    return optuna.create_study(
        study_name=name,
        storage=open_storage(url, heartbeat_interval=None, pool_size=threads),
        sampler=samplers[sampler](),
        directions=["minimize"] * 2,
        load_if_exists=True,
    )


def begin(url: str, name: str, sampler: str) -> None:
    """Make the study, with random trials in it."""
    rng, box = np.random.default_rng(0), FloatDistribution(0, 1)
    rows = rng.random((BEFORE, len(NAMES))).tolist()
    study_of(url, name, 1, sampler).add_trials(
        create_trial(
            params=dict(zip(NAMES, x, strict=True)),
            distributions=dict.fromkeys(NAMES, box),
            values=values(x),
        )
        for x in rows
    )


def one(study: optuna.Study, duration: float, rng: np.random.Generator) -> list[float]:
    """Run a trial; return the milliseconds of ask, of the suggestions, and of tell."""
    marks = [time.perf_counter()]
    trial = study.ask()
    marks.append(time.perf_counter())
    x = [trial.suggest_float(name, 0, 1) for name in NAMES]
    marks.append(time.perf_counter())
    time.sleep(duration * rng.uniform(0.5, 1.5))
    begun = time.perf_counter()
    study.tell(trial, values(x))
    telling = time.perf_counter() - begun
    return [1e3 * v for v in (*np.diff(marks), telling)]


def crew(
    url: str, name: str, sampler: str, args: argparse.Namespace, gate: Any, results: Any
) -> None:
    """Be one process of workers; put (times of trials told in the window, errors)."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    threads = args.workers // args.processes
    study = study_of(url, name, threads, sampler)
    times: list[list[float]] = []
    errors: list[str] = []
    gate.wait(300)
    closes = time.monotonic() + args.seconds

    def work(seed: int) -> None:
        rng = np.random.default_rng([os.getpid(), seed])
        time.sleep(rng.uniform(0, max(args.duration, 0.5)))  # workers do not start as one
        while time.monotonic() < closes:
            try:
                row = one(study, args.duration, rng)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}"[:200])
                continue
            if time.monotonic() < closes:
                times.append(row)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    results.put((times, errors))
