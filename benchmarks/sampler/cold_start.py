"""The cold sampler: processor time and memory of a new process's first ask.

Run ``python -m benchmarks.sampler.cold_start --save``. Random finished trials are made once and
kept in a file. Each measurement is a process of its own that reads them into a storage in memory,
one by one, then asks and suggests one trial. Times are the shortest of the repeats. Memory is the
process's peak before the ask and after it, so the difference is the sampler's own. NSGA-II finds
the trials marked as its generations.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from benchmarks.common.peers import maker, quiet
from benchmarks.common.results import Row, header, markdown, results_of, write
from benchmarks.sampler.overhead import GENERATION, NAMES, finished
from optuna_de import DESampler
from optuna_de.cnn import CNNSpace

RESULTS = results_of(__file__)

SAMPLERS = ("random", "nsga2-50", "de")
SIZES = {"flat": (1000, 20000), "layers": (1000,)}
"""Finished trials by kind: ten floats and two objectives, or networks of the modern space."""


def make(kind: str, size: int, file: Path) -> None:
    """Write so many random finished trials to a file, one pickle each."""
    if kind == "flat":
        trials = finished(size, 0)
    else:
        from benchmarks.screening.cost import made_up  # loads torch, which takes memory

        trials = made_up(CNNSpace(), size).get_trials(deepcopy=False)
    with file.open("wb") as stream:
        for trial in trials:
            pickle.dump(trial, stream)


def stored(file: Path) -> Iterator[FrozenTrial]:
    """Yield the trials of a file, one at a time, so that they are in memory once."""
    with file.open("rb") as stream:
        while stream.peek(1):
            yield pickle.load(stream)


def sampler_of(name: str, kind: str) -> optuna.samplers.BaseSampler:
    """Return a new sampler; networks are repaired as in a search, and not screened."""
    if name == "de" and kind == "layers":
        space = CNNSpace()
        return DESampler(initial=space.initial, repair=space.repair, seed=0)
    return maker(name)(0)


def loaded(file: Path) -> optuna.Study:
    """Return a study in memory of a file's trials."""
    study = optuna.create_study(study_name="cold start", directions=["minimize"] * 2)
    for trial in stored(file):
        study.add_trial(trial)
    last = len(study.get_trials(deepcopy=False)) // GENERATION - 1
    parents = [(last - 1) * GENERATION + i for i in range(GENERATION)]
    ids = [study.get_trials(deepcopy=False)[number]._trial_id for number in parents]
    key = f"NSGAIISampler:parent:{last}"
    study._storage.set_study_system_attr(study._study_id, key, ids)
    return study


def peak() -> float:
    """Return the MiB that this process has held at most; ``ru_maxrss`` inherits its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def first_ask(name: str, kind: str, file: Path) -> Row:
    """Ask and suggest once in this process."""
    quiet()
    study = loaded(file)
    study.sampler = sampler_of(name, kind)
    gc.collect()
    before, start = peak(), time.process_time()
    trial = study.ask()
    if kind == "flat":
        for gene in NAMES:
            trial.suggest_float(gene, 0, 1)
    else:
        CNNSpace().suggest(trial)
    spent = time.process_time() - start
    return {"seconds": spent, "MiB before": before, "MiB": peak()}


def repeated(name: str, kind: str, size: int, file: Path, repeats: int) -> Row:
    """Ask in processes of their own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.sampler.cold_start"]
    one = [*command, "--child", name, kind, str(file)]
    single = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    outputs = [subprocess.check_output(one, env=single, text=True) for _ in range(repeats)]
    runs = [json.loads(output) for output in outputs]
    return {
        **{"kind": kind, "trials": size, "sampler": name, "repeats": repeats},
        "seconds": [round(row["seconds"], 4) for row in runs],
        **{key: round(min(row[key] for row in runs), 1) for key in ("MiB before", "MiB")},
    }


def rows(repeats: int, kinds: Sequence[str], folder: Path) -> Iterator[Row]:
    """Yield all measurements; the samplers take turns with the sizes, on the same trials."""
    for kind in kinds:
        for size in SIZES[kind]:
            file = folder / f"{kind}-{size}.pickle"
            if not file.exists():
                make(kind, size, file)
            for name in SAMPLERS:
                if kind == "flat" or name != "nsga2-50":
                    yield repeated(name, kind, size, file, repeats)


def table(measured: Sequence[Row]) -> str:
    """Return the results as Markdown."""
    lines = [
        (
            *(r["kind"], f"{r['trials']:,}", r["sampler"], f"{min(r['seconds']):.3f}"),
            *(f"{r['MiB before']:.0f}", f"{r['MiB']:.0f}", r["repeats"]),
        )
        for r in measured
    ]
    columns = ["genes", "trials", "sampler", "first ask, s", "MiB before", "MiB", "repeats"]
    return markdown(columns, lines)


def main() -> None:
    """Measure, print and store; or be one of the measured processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kinds", default=",".join(SIZES), help="comma separated")
    parser.add_argument("--folder", type=Path, help="keep the trials there for later runs")
    parser.add_argument("--save", action="store_true", help="write the results")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        name, kind, file = args.child
        print(json.dumps(first_ask(name, kind, Path(file))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measured = list(rows(args.repeats, args.kinds.split(","), folder))
    print(table(measured))
    if args.save:
        print(write(RESULTS / "cold_start.jsonl", header(args.repeats), measured))


if __name__ == "__main__":
    main()
