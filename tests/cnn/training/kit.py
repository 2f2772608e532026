"""Small final trainings and a study to start them from, for the tests of train and compare."""

import json
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from optuna_de.cnn import get_recipe, parse
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.recipes import Recipe, fit_recipe
from optuna_de.cnn.search.search import Search
from tests.cnn.kit import digits

SMALL = "B8k3-MP-C8k3-GAP"
OTHER = "C4k3-MP-B8k3-GAP"


def job(text: str = SMALL, **changes: Any) -> TrainingJob:
    """Return a training of two epochs on 300 digits, with 200 for validation."""
    data = digits()
    recipe = fit_recipe(get_recipe("final"), data)
    usual = {"epochs": 2, "batch_size": 50, "device": "cpu"}
    return TrainingJob(parse(text), **{"data": data, "recipe": recipe, **usual, **changes})


def jumpy(ema: float | None = None) -> TrainingJob:
    """Return a training whose last epoch is not its best, or with a running mean may be."""
    recipe = Recipe("jumpy", 1, learning_rate=0.9, crop_padding=0, ema=ema)
    return job(epochs=6, keep_validation=True, recipe=recipe)


def study(url: str, folder: Path, **changes: Any) -> optuna.Study:
    """Make a study as a search would, with trials 0 to 3 complete, 4 failed and 5 pruned."""
    search = Search(
        storage=url,
        device="cpu",
        checkpoints=folder,
        **{"study_name": "found", "between": (1, 10_000), "max_error": 0.9, **changes},
    )
    made = search.study(search.objective())
    networks = (SMALL, OTHER, "B4k3-MP-GAP", "C2k3-AP-GAP")
    for error, (number, text) in zip((0.1, 0.2, 0.4, 0.6), enumerate(networks), strict=True):
        values = [error, *[1000.0 - 200 * number] * (len(made.directions) - 1)]
        made.add_trial(create_trial(values=values, user_attrs={"architecture": text}))
    made.add_trial(create_trial(state=TrialState.FAIL))
    reason = {"architecture": SMALL, "reason": "dominated at a rung"}
    made.add_trial(create_trial(state=TrialState.PRUNED, user_attrs=reason))
    return made


def result_of(folder: Path) -> Any:
    """Return all of a result that has to be the same after a resumption."""
    result = json.loads((folder / "result.json").read_text())
    curve = json.loads((folder / "curve.json").read_text())
    return (
        {k: v for k, v in result.items() if k != "training seconds"},
        [{k: v for k, v in row.items() if k != "seconds"} for row in curve],
    )
