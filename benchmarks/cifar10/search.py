"""The evidence on CIFAR-10: one search, final trainings from its front, the test split read once.

Run ``python -m benchmarks.cifar10.search search --folder FOLDER``, a folder with
``train/<class>/`` and ``test/<class>/``, then ``... train --folder FOLDER --trials 1 --epochs
80``, then ``... collect --save``. The first two run ``optuna-de`` with the arguments below and go
on where they were stopped; the last reads the study and the folders of the trainings.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks.cifar10.search_table import table
from benchmarks.common.results import Row, header, results_of, write
from optuna_de import open_storage
from optuna_de.cnn.evaluation.results import read_result

RESULTS = results_of(__file__)

STUDY = "cifar10"
WARM = (
    "B32k3-B64k3-MP-R64k3-B160k3-MP-R160k3-MP-B192k3-GAP",
    "B24k3-B48k3-MP-R48k3-B128k3-MP-R128k3-MP-B192k3-GAP",
    "B32k3-S64k3-R64k3-S128k3-R128k3-B160k3-GAP",
    "resnet20",
)
"""Networks of known kinds that the search begins with."""
SEARCH = {
    "--subset": "3000",
    "--validation-fraction": "0.2",
    "--epochs": "6",
    "--trials": "40",
    "--timeout": "1080",
    "--max-parameters": "950000",
    "--max-macs": "100000000",
    "--workers": "2",
    "--warm-start": ",".join(WARM),
}
TRAIN = {"--batch-size": "128", "--threads": "2"}


def command(what: str, folder: Path, place: Path, options: dict[str, str]) -> list[str]:
    """Return a command line of optuna-de on the study."""
    study = ["--study-name", STUDY, "--storage", f"sqlite:///{place}/cifar.db"]
    extra = [part for pair in options.items() for part in pair]
    return [sys.executable, "-m", "optuna_de", what, "--data", str(folder), *study, *extra]


def collect(place: Path) -> list[Row]:
    """Return a row for every network of the search, with its final training where there is one."""
    study = optuna.load_study(
        study_name=STUDY, storage=open_storage(f"sqlite:///{place}/cifar.db")
    )
    front = {trial.number for trial in study.best_trials}
    return [
        {**about(trial), "front": trial.number in front, **trained(place / f"trial{trial.number}")}
        for trial in study.trials
        if trial.state.is_finished()
    ]


def about(trial: FrozenTrial) -> Row:
    """Return what the search knows of a network."""
    attributes = trial.user_attrs
    complete = trial.state == TrialState.COMPLETE
    return {
        "trial": trial.number,
        "state": trial.state.name,
        "architecture": attributes["architecture"],
        "parameters": trial.values[1] if complete else None,
        "macs": attributes["macs"],
        "search error": trial.values[0] if complete else None,
        "search epochs": attributes.get("epochs", 0),
        "search seconds": attributes.get("seconds", 0),
    }


def trained(folder: Path) -> Row:
    """Return the figures and the curve of a finished training."""
    result = read_result(folder)
    if result is None:
        return {}
    figures, setup = result["figures"]["last"], result["setup"]
    with (folder / "curve.csv").open() as file:
        curve = [[float(value or "nan") for value in line] for line in list(csv.reader(file))[1:]]
    return {
        "test error": figures["test error"],
        "epochs": setup["epochs"],
        "seed": setup["seed"],
        "recipe": f"{setup['recipe']['name']} version {setup['recipe']['version']}",
        "images": setup["train images"] + setup["validation images"],
        "training seconds": result["training seconds"],
        "curve": curve,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["search", "train", "collect"])
    parser.add_argument("--folder", type=Path, default=Path("data/cifar"))
    parser.add_argument("--place", type=Path, default=Path("data/cifar10"), help="of all results")
    parser.add_argument("--trials", default="0", help="networks to train, comma separated")
    parser.add_argument("--epochs", default="80", help="of the final trainings")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    args.place.mkdir(parents=True, exist_ok=True)
    if args.what == "search":
        subprocess.run(command("search", args.folder, args.place, SEARCH), check=True)
        return
    if args.what == "train":
        for number in args.trials.split(","):
            out = f"{args.place}/trial{number}"
            options = {**TRAIN, "--epochs": args.epochs, "--trial": number, "--out": out}
            subprocess.run(command("train", args.folder, args.place, options), check=True)
        return
    rows = collect(args.place)
    head = header(1, search=SEARCH, train=TRAIN)
    print(table(head, rows))
    if args.save:
        print(write(RESULTS / "cifar10.jsonl", head, rows))


if __name__ == "__main__":
    main()
