"""Optuna's callbacks for MLflow and Weights & Biases get what they need of `optimize`.

The trackers are played; where they are installed, the real ones run too (MLflow in a file).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from optuna_de import optimize

NAMES = ["error", "parameters"]
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def objective(trial: optuna.Trial) -> tuple[float, float]:
    x = trial.suggest_float("x", 0, 1)
    trial.suggest_categorical("kind", ["a"])
    if trial.number == 1:
        raise optuna.TrialPruned()
    return x, 1 - x


class Log:
    """What a played tracker was told, a dictionary a run."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []

    def add(self, values: dict[str, Any], **_: Any) -> None:
        self.runs[-1].update(values)

    @contextlib.contextmanager
    def mlflow_run(self, **about: Any) -> Iterator[None]:
        self.runs.append({"name": about["run_name"]})
        yield

    def wandb_run(self, **_: Any) -> Any:
        self.runs.append({})
        return SimpleNamespace(
            name="", log=self.add, config=SimpleNamespace(update=self.add), finish=lambda: None
        )


def check(runs: list[dict[str, Any]], study: optuna.Study) -> None:
    assert len(runs) == len(study.trials) == 3
    for run, trial in zip(runs, study.trials, strict=True):
        assert run["x"] == trial.params["x"]
        assert run["kind"] == "a"
        assert [run.get(name) for name in NAMES] == (trial.values or [None, None])


def searched(callback: Any) -> optuna.Study:
    study = optuna.create_study(directions=["minimize"] * 2, study_name="tracked")
    optimize(study, objective, total=3, callback=callback)
    return study


def test_mlflow_is_told_each_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip(
        "optuna_integration.mlflow.mlflow", reason="no optuna-integration"
    )
    log = Log()
    fake = SimpleNamespace(
        set_experiment=lambda name: None,
        start_run=log.mlflow_run,
        log_metrics=log.add,
        log_params=log.add,
        set_tags=log.add,
        utils=SimpleNamespace(validation=SimpleNamespace(MAX_TAG_VAL_LENGTH=5000)),
    )
    monkeypatch.setattr(module, "mlflow", fake, raising=False)
    monkeypatch.setattr(module, "_imports", SimpleNamespace(check=lambda: None))
    study = searched(module.MLflowCallback(metric_name=NAMES))
    check(log.runs, study)
    assert [run["state"] for run in log.runs] == ["COMPLETE", "PRUNED", "COMPLETE"]


def test_weights_and_biases_are_told_each_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("optuna_integration.wandb.wandb", reason="no optuna-integration")
    log = Log()
    run = SimpleNamespace(Run=SimpleNamespace)
    fake = SimpleNamespace(
        init=log.wandb_run, run=None, sdk=SimpleNamespace(wandb_run=run), errors=None
    )
    monkeypatch.setattr(module, "wandb", fake, raising=False)
    monkeypatch.setattr(module, "_imports", SimpleNamespace(check=lambda: None))
    study = searched(module.WeightsAndBiasesCallback(metric_name=NAMES, as_multirun=True))
    check(log.runs, study)
    assert [run["trial_number"] for run in log.runs] == [0, 1, 2]


@pytest.mark.filterwarnings("ignore")  # those of its database and its own
def test_the_real_mlflow_stores_each_trial(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="no MLflow")
    module = pytest.importorskip(
        "optuna_integration.mlflow.mlflow", reason="no optuna-integration"
    )
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    study = searched(module.MLflowCallback(tracking_uri=uri, metric_name=NAMES))
    runs = mlflow.search_runs(experiment_names=["tracked"], output_format="list")
    stored = {int(run.data.tags["number"]): run.data for run in runs}
    assert [stored[t.number].tags["state"] for t in study.trials] == [
        t.state.name for t in study.trials
    ]
    assert stored[0].metrics == dict(zip(NAMES, study.trials[0].values, strict=True))
