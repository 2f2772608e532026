"""Operators: shares and control parameters of windows of trials, read from their plans."""

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection

from optuna_de import DESampler
from optuna_de.visualization import operators, plot_operators
from tests.visualization import kit

BOX = {name: FloatDistribution(0, 1) for name in ("x", "y")}


def searched(objectives: int) -> optuna.Study:
    directions = [StudyDirection.MINIMIZE] * objectives
    study = optuna.create_study(directions=directions, sampler=DESampler(seed=0))
    for _ in range(60):
        trial = study.ask(dict(BOX))
        study.tell(trial, [trial.params["x"] + k * trial.params["y"] for k in range(objectives)])
    return study


def test_one_objective_has_a_step_size() -> None:
    info = operators.info(searched(1), window=10)
    assert info.operators == ("initial", "cma", "model")
    assert info.moments[0].shares == {"initial": 1.0}
    assert info.moments[0].parameters == {}
    assert sum(info.moments[-1].shares.values()) == pytest.approx(1)
    assert 0 < info.moments[-1].parameters["step_size"] < 1
    assert operators.figure(info).layout.yaxis2.type == "log"


def test_two_objectives_have_rates() -> None:
    info = operators.info(searched(2), window=10)
    assert info.moments[-1].parameters["crossover"] == 0.5
    drawn = [moment.parameters["scale"] for moment in info.moments if moment.parameters]
    assert len(set(drawn)) > 10
    assert all(0 < scale < 0.9 for scale in drawn)


def test_learned_rates_have_a_panel_of_edits() -> None:
    study = optuna.create_study(sampler=DESampler(seed=0))
    for _ in range(40):
        trial = study.ask()
        study.tell(trial, float(trial.suggest_categorical("c", range(100))))
    figure = plot_operators(study, window=10)
    assert figure.layout.yaxis3.title.text == "Edits a child"
    assert {"CR of categories", "edits of categories"} <= {trace.name for trace in figure.data}


def test_studies_without_parameters_have_shares_alone() -> None:
    assert "yaxis2" not in plot_operators(kit.family()).layout


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="window must be at least 1, but is 0"):
        plot_operators(kit.study(), window=0)
