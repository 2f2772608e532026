"""TensorBoard reads what the callback writes."""

import sys
from pathlib import Path

import optuna
import pytest

from optuna_de import optimize
from optuna_de.cnn.search import TensorBoardCallback


def objective(trial: optuna.Trial) -> tuple[float, float]:
    x = trial.suggest_float("x", 0, 1)
    trial.suggest_categorical("kind", ["a", "b"])
    trial.set_user_attr("curve", [[1, 2.0, 0.5], [2, 1.0, None]])
    return x, 1 - x


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_trials_of_several_objectives_are_there_with_their_curves(tmp_path: Path) -> None:
    loading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard"
    )
    study = optuna.create_study(directions=["minimize", "minimize"], study_name="a/b")
    study.set_metric_names(["error", "size"])
    optimize(study, objective, total=2, callback=TensorBoardCallback(tmp_path))

    def read(run: str) -> dict[str, list[tuple[int, float]]]:
        events = loading.EventAccumulator(str(tmp_path / "a-b" / run))
        events.Reload()
        return {
            tag: [(event.step, event.value) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]
        }

    first = read("trial 0")
    assert first["training loss"] == [(1, 2.0), (2, 1.0)]
    assert first["validation error"] == [(1, 0.5)]
    assert first["values/error"][0][1] == pytest.approx(study.trials[0].values[0])
    steps = [step for step, _ in read("study")["values/size"]]
    assert steps == [0, 1]


def test_a_missing_tensorboard_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match=r'install the package as "optuna-de\[tracking'):
        TensorBoardCallback("runs")
