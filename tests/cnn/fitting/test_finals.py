"""Finals: early end, seeds, and further picks for the time that is left."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState

from optuna_de.cnn import CNNSpace, get_recipe, parse
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.fitting import time_budget
from optuna_de.cnn.fitting.finals import EPOCHS, PICK, SEED, FinalObjective, queue_finals
from optuna_de.cnn.fitting.options import Fit
from optuna_de.cnn.fitting.plan import SCORING, FitPlan
from optuna_de.cnn.fitting.time_budget import _Run, _silent
from optuna_de.cnn.search.fidelity import Fidelity
from optuna_de.halving import rungs_of
from tests.cnn.kit import digits

SPACE = CNNSpace((1, 8, 8))
RUNG = "optuna_de:v1:rung:"
REGION = Region(100, 10_000)


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


def bare_study() -> optuna.Study:
    return optuna.create_study(directions=["minimize", "minimize"])


def pick(number: int, text: str = "B8k3-MP-GAP", error: float = 0.5) -> FrozenTrial:
    """Return a trial of a search, as far as finals read it."""
    trial = optuna.create_trial(
        values=[error, float(SPACE.count_parameters(SPACE.encode(parse(text))))],
        user_attrs={"architecture": text, "seconds": 1.0, "passes": 1_000},
    )
    trial.number = number
    return trial


def trained(folder: Path, rivals: list[list[float]]) -> FrozenTrial:
    """Train a final of six epochs against the rungs of others."""
    study = bare_study()
    for i, values in enumerate(rivals):
        rungs = {f"{RUNG}{k}": {"trial": i, "values": values, "stop": False} for k in (1, 2)}
        study.add_trial(optuna.create_trial(values=values, user_attrs=rungs))
    queue_finals(study, SPACE, [pick(5)], 6, [3])
    recipe = replace(get_recipe("final"), batch_size=50)
    device = torch.device("cpu")
    study.optimize(FinalObjective(digits(200, 100), SPACE, recipe, device, folder, "s"), 1)
    return study.trials[-1]


def test_a_final_that_others_dominate_ends_after_a_third(tmp_path: Path) -> None:
    ended = trained(tmp_path, [[0.01, 50.0], [0.02, 60.0]])
    assert ended.state == TrialState.PRUNED
    assert ended.user_attrs["reason"] == "others were ahead after 2 of 6 epochs"
    assert not list(tmp_path.rglob("*.pt"))
    whole = trained(tmp_path, [[0.9, 50_000.0], [0.9, 60_000.0]])
    assert whole.state == TrialState.COMPLETE
    assert sorted(rungs_of(whole.user_attrs)) == [1, 2]


def test_each_pick_is_queued_once_for_each_seed_the_largest_first() -> None:
    study, small, large = bare_study(), pick(1), pick(2, "B16k3-MP-GAP")
    assert queue_finals(study, SPACE, [small, large], 9, [4, 5]) == 2
    assert queue_finals(study, SPACE, [small], 9, [6]) == 0
    queued = [tuple(t.user_attrs[k] for k in (PICK, SEED, EPOCHS)) for t in study.trials]
    assert queued == [(2, 4, 9), (2, 5, 9), (1, 4, 9), (1, 5, 9)]


def spent(seconds: float, **attributes: Any) -> FrozenTrial:
    trial = optuna.create_trial(values=[0.9, 1e9], user_attrs=attributes)
    assert trial.datetime_complete is not None
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=seconds)
    return trial


@pytest.mark.parametrize(("left", "queued"), [(100.0, [1, 2]), (9.0, [1]), (4.0, [])])
def test_time_that_is_left_trains_further_picks_as_long(left: float, queued: list[int]) -> None:
    images, epochs, compute = 1_000, 6, 1_000.0  # a pick costs 1 ms an image: 7.5 s
    plan = FitPlan(compute, REGION, images, 0.001, (Fidelity(10, 1),), 9, 3, epochs)
    search, finals = bare_study(), bare_study()
    search.add_trials([spent(500.0), pick(1, error=0.2), pick(2, "B16k3-MP-GAP", 0.3)])
    finals.add_trial(spent(500.0 - left, **{PICK: 0, EPOCHS: epochs, SEED: 0}))
    run = _Run(DataChoice("digits"), Fit(), _silent)
    space: Any = SimpleNamespace(space=SPACE, seed=0, distill=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_budget, "locked", lambda *_: nullcontext(lambda: False))
        run._queue_alone(space, plan, search, finals)
    assert len(finals.trials) == 1  # the lock was lost: another process queues
    run._queue_alone(space, plan, search, finals)
    waiting = [t for t in finals.trials if t.state == TrialState.WAITING]
    assert sorted(t.user_attrs[PICK] for t in waiting) == queued
    assert {t.user_attrs[EPOCHS] for t in waiting} <= {epochs}
    assert images * epochs * 0.001 * SCORING == 7.5
