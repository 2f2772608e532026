"""Searches with and without inherited weights at equal cost, judged by trainings from scratch.

Run ``python -m benchmarks.cifar10.inheritance run --folder FOLDER --place PLACE --seeds 5``, a
folder with ``train/<class>/`` and ``test/<class>/``; it can be stopped at any time and goes on.
``... collect --place PLACE --save`` writes the table. Both arms search with the same seed, ladder,
images and seconds of compute, in turns, on one thread; keep the machine quiet. Then the network of
least error in each band is trained from scratch, the same way for both arms, and scored on the
same validation images. The measures are the hypervolume of these errors over the logarithm of the
size, within the region, and Spearman's correlation of the search's errors with them.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import optuna
import torch
from scipy.stats import spearmanr

from benchmarks.common.results import Row, header, markdown, results_of, write
from optuna_de._compat import hypervolume
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.fitting.finals import pick_finals, usable_trials
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import fit_recipe, get_recipe
from optuna_de.cnn.search.fidelity import ladder_of, reduced
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.search.worker_process import work
from optuna_de.cnn.study.trials import network_of, spent_seconds
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)
REGION = Region(5_000, 100_000, 0.9)
MACS_CAP = 2_500_000
IMAGES, PASSES = 12_000, 2_000
LONG = 6
"""Epochs of all images of the trainings from scratch."""
ARMS = {"scratch": False, "inherited": True}


def search_of(folder: Path, place: Path, arm: str, seed: int, seconds: float) -> Search:
    """Describe the search of an arm."""
    ladder = ladder_of(PASSES, IMAGES, 3)
    return Search(
        data=str(folder),
        subset=round(IMAGES / 0.9),
        storage=f"sqlite:///{place}/searches.db",
        study_name=f"{arm}-{seed}",
        artifacts=place / f"{arm}-{seed}",
        between=(REGION.min_parameters, REGION.max_parameters),
        max_error=REGION.max_error,
        max_macs=MACS_CAP,
        seed=seed,
        trials=1_000_000,
        compute=seconds,
        ladder=ladder,
        epochs=ladder[-1].epochs,
        inheritance=ARMS[arm],
        device="cpu",
    )


def run(folder: Path, place: Path, seeds: int, seconds: float) -> None:
    """Search with both arms of each seed, then train their picks."""
    for seed in range(seeds):
        for arm in ARMS:
            search = search_of(folder, place, arm, seed, seconds)
            study = search.study(search.objective())
            if spent_seconds(study) < seconds:
                work(search, study)
            _judge(search, study, place / f"{arm}-{seed}.json")


def _judge(search: Search, study: optuna.Study, file: Path) -> None:
    """Train the picks of a search from scratch, those that the file lacks."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    data, space = search.image_data, search.space
    recipe = fit_recipe(get_recipe("fast"), data, LONG)
    for trial in pick_finals(study, REGION, 2):
        if str(trial.number) in known:
            continue
        torch.manual_seed(0)
        model = build(network_of(trial), space.image_shape, space.classes)
        whole = reduced(data, IMAGES)
        error = train(model, whole, recipe, epochs=LONG, score_epochs=()).error
        known[str(trial.number)] = [trial.values[1], trial.values[0], error]
        file.write_text(json.dumps(known), encoding="utf-8")


def rows_of(place: Path) -> Iterator[Row]:
    """Yield what each search found."""
    for file in sorted(place.glob("*-*.json")):
        arm, seed = file.stem.rsplit("-", 1)
        study = optuna.load_study(study_name=file.stem, storage=f"sqlite:///{place}/searches.db")
        picks = [*json.loads(file.read_text()).values()]
        tried = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        yield {
            **{"arm": arm, "seed": int(seed), "compute s": round(spent_seconds(study))},
            **{"networks": len(study.trials), "complete": len(tried), "picks": len(picks)},
            "hypervolume": round(volume([(size, error) for size, _, error in picks]), 4),
            "Spearman": round(
                float(spearmanr([p[1] for p in picks], [p[2] for p in picks])[0]), 3
            ),
            "least error searched": round(min(t.values[0] for t in usable_trials(study)), 4),
            "least error from scratch": round(min(error for *_, error in picks), 4),
        }


def volume(points: Sequence[tuple[float, float]]) -> float:
    """Return the hypervolume of sizes and errors in the region, as a share of all of it."""
    low, high = math.log(REGION.min_parameters), math.log(REGION.max_parameters)
    front: list[tuple[float, float]] = []
    for size, error in sorted(points):
        if error < min([REGION.max_error, *(e for _, e in front)]):
            front.append(((math.log(size) - low) / (high - low), error))
    return hypervolume(np.array(front), np.array([1.0, REGION.max_error])) / REGION.max_error


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of one result file."""
    names = [*rows[0]]
    return markdown(names, [[str(row[name]) for name in names] for row in rows])


def main() -> None:
    """Run, or collect."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("run", "collect"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.step == "run":
        if args.folder is None:
            parser.error("run needs --folder")
        args.place.mkdir(parents=True, exist_ok=True)
        run(args.folder, args.place, args.seeds, args.seconds)
        return
    measured = [*rows_of(args.place)]
    for row in measured:
        print(row)
    if args.save:
        write(RESULTS / "inheritance.jsonl", header(len(measured) // len(ARMS)), measured)


if __name__ == "__main__":
    main()
