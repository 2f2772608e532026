"""A fit from start to models: it goes on after any end and tests each model once."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from optuna_de.cnn import fit
from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.fitting import shipping, time_budget
from optuna_de.cnn.fitting.finals import PICK
from optuna_de.cnn.fitting.options import Fit
from optuna_de.cnn.fitting.plan import PLAN_KEY, FitPlan, read_plan
from optuna_de.cnn.fitting.time_budget import _Run, _silent
from optuna_de.storage.open_storage import open_storage

MINUTES = 0.1


@pytest.fixture(autouse=True)
def fixture_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    monkeypatch.setattr("optuna_de.cnn.fitting.time_budget.measure_pass", lambda *_: 5e-4)


def fit_digits(**options: Any) -> Any:
    return fit("digits", minutes=MINUTES, between=(500, 4_500), device="cpu", **options)


def test_a_fit_ships_tested_models_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read: list[int] = []
    real = DataChoice.load_test

    def load_test(choice: DataChoice) -> Split:
        read.append(1)
        return real(choice)

    monkeypatch.setattr(DataChoice, "load_test", load_test)
    monkeypatch.setattr(shipping, "export_model", _failing)
    done = fit_digits()
    assert done.code == 0
    assert done.models
    assert read == [1]
    assert "has weights, but no ONNX file: the exporter is broken" in caplog.text
    for model in done.models:
        assert 500 <= model.parameters <= 4_500
        assert {"model.pt", "model_card.md", "confusion.svg"} <= set(model.files)
        result = json.loads((model.folder / "result.json").read_text())
        assert result["figures"]["last"]["test error"] == model.test_error
        assert f"{100 * model.validation_error:.2f} %" in Path("models/index.html").read_text(
            encoding="utf-8"
        )
        assert len(model.class_errors) == 10
        assert "## Classes" in (model.folder / "model_card.md").read_text()
    page = Path("models/index.html").read_text(encoding="utf-8")
    assert all(f"{model.folder.name}/model_card.md" in page for model in done.models)
    assert Path("models/plotly.min.js").is_file()

    again = fit_digits()  # all is done: nothing is searched, trained or tested again
    assert [m.test_error for m in again.models] == [m.test_error for m in done.models]
    elsewhere = fit_digits(out="elsewhere")  # another machine ships the same models
    assert [m.test_error for m in elsewhere.models] == [m.test_error for m in done.models]
    assert elsewhere.models[0].folder.parent == Path("elsewhere")
    assert read == [1]

    storage = open_storage("sqlite:///optuna_de.db")
    finals = optuna.load_study(study_name="digits-fit-final", storage=storage)
    search = optuna.load_study(study_name="digits-fit", storage=storage)
    errors = {trial.values[0] for trial in finals.trials}
    assert {model.validation_error for model in done.models} <= errors
    for trial in finals.trials:
        pick = search.trials[trial.user_attrs[PICK]]
        assert trial.user_attrs["architecture"] == pick.user_attrs["architecture"]


def test_who_begins_together_shares_one_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Fit(minutes=MINUTES, between=(500, 4_500), device="cpu", workers=1)
    one, two = (_Run(DataChoice("digits"), settings, _silent) for _ in range(2))
    begun: list[FitPlan] = []

    def slow(*_: object) -> float:
        """Measure a step so slowly that another process begins meanwhile."""
        if not begun:
            monkeypatch.setattr(time_budget, "measure_pass", lambda *_: 5e-4)
            begun.append(two.begin()[1])
        return 1e-3

    monkeypatch.setattr(time_budget, "measure_pass", slow)
    _, plan, study = one.begin()
    assert [plan.json()] == [other.json() for other in begun]
    assert read_plan(study) == plan  # as recorded, rounded
    study.set_user_attr(PLAN_KEY, "lost")
    with pytest.raises(ValueError, match="was not begun by optuna-de fit"):
        one.begin()


def test_more_hours_add_to_what_is_finished_only(caplog: pytest.LogCaptureFixture) -> None:
    run = _Run(
        DataChoice("digits"),
        Fit(minutes=MINUTES, more_hours=0.5, between=(500, 4_500), device="cpu", workers=2),
        _silent,
    )
    search, plan, study = run.begin()
    assert "not finished yet, so --more-hours adds nothing" in caplog.text
    trial = optuna.create_trial(
        params=search.space.initial(np.random.default_rng(0)),
        distributions=search.space.distributions(search.space.initial(np.random.default_rng(0))),
        values=[0.5, 1_000.0],
    )
    assert trial.datetime_complete is not None
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=plan.compute)
    study.add_trial(trial)
    finals = run.final_search(search)
    finals.study(finals.objective())
    longer, more, _ = run.begin()
    assert more.compute == plan.compute + 2 * 1_800
    assert longer.compute == more.search_compute
    assert more.ladder == plan.ladder


def test_a_quarter_of_the_first_networks_are_known(caplog: pytest.LogCaptureFixture) -> None:
    settings = Fit(minutes=0.5, between=(1_000, 20_000), device="cpu", workers=1)
    run, without = (
        _Run(DataChoice("digits"), replace(settings, known=known), _silent)
        for known in (True, False)
    )
    search, plan, study = run.begin()
    assert [t.user_attrs for t in study.trials] == [{"known": name} for name, _ in plan.known]
    assert [len(run._with_known(search, replace(plan, trials=n)).known) for n in (3, 12, 90)] == [
        *(0, 3, 5)
    ]
    assert without._with_known(search, plan).known == ()
    assert plan.known
    assert without.begin()[1].known == plan.known  # what a fit began with stays
    assert "--no-known changes nothing now" in caplog.text


def _failing(*_: object) -> None:
    raise RuntimeError("the exporter is broken")


def test_options_that_do_not_exist_are_named() -> None:
    with pytest.raises(ValueError, match=r"fit has no option 'day'; it has artifacts, "):
        fit("digits", day=1)
    with pytest.raises(ValueError, match=r"^Give hours \(1\) or minutes \(2\), not both\.$"):
        fit("digits", hours=1, minutes=2)
    assert not list(Path().iterdir())
