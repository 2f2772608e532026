"""Figures for optuna-dashboard: few, small, written over."""

import pytest

from tests.visualization import kit

dashboard = pytest.importorskip("optuna_dashboard")
from_study = pytest.importorskip("optuna_dashboard._custom_plot_data")


def test_figures_are_few_and_written_over() -> None:
    save_figures = pytest.importorskip("optuna_de.visualization.optuna_dashboard").save_figures
    study = kit.family()
    names = save_figures(study)
    assert len(names) == 5
    assert save_figures(study) == names
    attrs = study._storage.get_study_system_attrs(study._study_id)
    stored = from_study.get_plotly_graph_objects(attrs)
    assert set(stored) == set(names)
    assert '"error"' in stored["optuna_de.front"]


def test_many_trials_need_no_more_room() -> None:
    save_figures = pytest.importorskip("optuna_de.visualization.optuna_dashboard").save_figures
    study = kit.study()
    for i in range(1000):
        kit.add(study, 1.0 - i / 2000, 1.0 + i % 7)
    save_figures(study)
    attrs = study._storage.get_study_system_attrs(study._study_id)
    assert sum(len(str(value)) for value in attrs.values()) < 200_000


def test_one_objective_has_no_front() -> None:
    save_figures = pytest.importorskip("optuna_de.visualization.optuna_dashboard").save_figures
    study = kit.study(("minimize",))
    kit.add(study, 1.0)
    assert save_figures(study) == (
        "optuna_de.genes",
        "optuna_de.diversity",
        "optuna_de.operators",
    )
