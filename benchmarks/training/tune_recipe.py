"""Tune the recipe ``fast`` with the package's own sampler, on a split kept for that.

Searched are the fields of a recipe that may help at any length, and whether the image is whitened
before the first unit.

Run ``python -m benchmarks.training.tune_recipe --folder FOLDER --epochs 8 --trials 40``, a folder
with ``train/<class>/`` images such as CIFAR-10's. A trial is a recipe, its value the mean
validation error over the first of six networks from 20,000 to 740,000 parameters. Trials lie in
the storage: the same command goes on where it was stopped, and more processes share the work. The
first trial is today's recipe. Judge what it finds on other images: ``recipe_versions`` does.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import torch

from benchmarks.common.results import Row, header, markdown, results_of, versions, write
from benchmarks.training.recipe_versions import NETWORKS
from benchmarks.training.tune_fast import Sizes, load
from optuna_de import DESampler, open_storage, optimize
from optuna_de._allocator import keep_memory
from optuna_de.cnn import parse
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import Recipe, get_recipe
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)
SKIP = 1500
"""Images of each class before those of this split, which ``recipe_versions`` judges on."""
BASE = get_recipe("fast")
EMA = (0.0, 0.9, 0.99)
MIXING = (0.0, 0.2, 1.0)
WHITENING = "WH-"


def suggest(trial: optuna.trial.BaseTrial) -> tuple[Recipe, str]:
    """Suggest a recipe, and the text of a stem or none; an average of 0 is none."""
    ema = trial.suggest_categorical("ema", EMA)
    numbers: dict[str, Any] = {
        "optimizer": trial.suggest_categorical("optimizer", ["sgd", "adamw", "muon"]),
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 0.5, log=True),
        "matrix_rate": trial.suggest_float("matrix_rate", 0.01, 0.3, log=True),
        "matrix_momentum": trial.suggest_float("matrix_momentum", 0.3, 0.95),
        "norm_bias_rate": trial.suggest_float("norm_bias_rate", 0.5, 32.0, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-2, log=True),
        "warmup": trial.suggest_float("warmup", 0.05, 0.6),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2),
        "crop_padding": trial.suggest_int("crop_padding", 0, 4),
        "reflect": trial.suggest_categorical("reflect", [False, True]),
        "cutout": trial.suggest_int("cutout", 0, 12, step=4),
        "mixup": trial.suggest_categorical("mixup", MIXING),
        "cutmix": trial.suggest_categorical("cutmix", MIXING),
        "stochastic_depth": trial.suggest_float("stochastic_depth", 0.0, 0.3),
    }
    stem = WHITENING * trial.suggest_categorical("whitening", [False, True])
    return replace(BASE, name="tuned", ema=ema or None, **numbers), stem


def today() -> dict[str, Any]:
    """Return the parameters of today's recipe."""
    names = (
        *("optimizer", "learning_rate", "matrix_rate", "matrix_momentum", "norm_bias_rate"),
        *("weight_decay", "warmup", "label_smoothing", "crop_padding", "reflect", "cutout"),
        *("mixup", "cutmix", "stochastic_depth"),
    )
    held = {name: getattr(BASE, name) for name in names}
    return {"ema": BASE.ema or 0.0, "whitening": False, **held}


def error(recipe: Recipe, network: str, data: ImageData, epochs: int) -> float:
    """Return the validation error of a network, chance level if its training diverged."""
    torch.manual_seed(0)
    model = build(parse(network), data.image_shape, len(data.classes))
    return train(model, data, recipe, epochs=epochs, score_epochs=()).error


def rows_of(study: optuna.Study) -> list[Row]:
    """Return a row for each finished trial."""
    trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return [{"trial": t.number, "error": t.values[0], **t.params} for t in trials]


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return today's recipe and the best five."""
    best = sorted(rows[1:], key=lambda row: float(row["error"]))[:5]
    names = list(rows[0])
    lines = [[_short(row, name) for name in names] for row in (rows[0], *best)]
    return (
        f"{head['epochs']} epochs, {head['images']:,} images, {head['networks']} networks, "
        f"{len(rows)} recipes; trial 0 is today's.\n\n{markdown(names, lines)}"
    )


def _short(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--storage", default="sqlite:///tune_recipe.db")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--networks", type=int, default=len(NETWORKS))
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--validation", type=int, default=5000)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    study = optuna.create_study(
        storage=open_storage(args.storage),
        study_name=f"recipe-{args.epochs}",
        sampler=DESampler(seed=0),
        load_if_exists=True,
    )
    study.enqueue_trial(today(), skip_if_exists=True)

    def objective(trial: optuna.Trial) -> float:
        data = load(Sizes(args.folder, args.train, args.validation), skip=SKIP)
        recipe, stem = suggest(trial)
        chosen = [stem + network for network in NETWORKS[: args.networks]]
        return statistics.mean(error(recipe, n, data, args.epochs) for n in chosen)

    optimize(study, objective, total=args.trials)
    known = {**versions(), "torch": torch.__version__}
    about = {"epochs": args.epochs, "images": args.train, "networks": args.networks}
    head, rows = header(1, **about, versions=known), rows_of(study)
    print(table(head, rows))
    if args.save:
        print(write(RESULTS / f"tune_recipe-{args.epochs}.jsonl", head, rows))


if __name__ == "__main__":
    main()
