"""What holds for every plot: sentences instead of crashes, escaped text, kept input, speed."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from optuna_de import visualization
from tests.visualization import kit

Plot = Callable[..., Any]
PLOTS = visualization.PLOTS
every_plot = pytest.mark.parametrize("plot", [p.function for p in PLOTS.values()], ids=PLOTS)


def sentence(figure: Any) -> str:
    assert not figure.data
    return str(figure.layout.annotations[0].text)


def genome_of(kind: str) -> dict[str, Any]:
    params = {"layers.length": 1, "layers.0.kind": kind, f"layers.0.{kind}.width": 3}
    distributions = {
        "layers.length": IntDistribution(1, 4),
        "layers.0.kind": CategoricalDistribution([kind, "other"]),
        f"layers.0.{kind}.width": IntDistribution(1, 9),
    }
    return {"params": params, "distributions": distributions}


def hostile_study() -> optuna.Study:
    study = kit.study(study_name=kit.HOSTILE, names=[kit.HOSTILE, f"{kit.HOSTILE}2"])
    attrs = {"architecture": kit.HOSTILE, "curve": [[1, 2.0, 0.5]], "seconds": kit.HOSTILE}
    kind = "<i>kind</i>"
    for i in range(3):
        plan = (i, "<b>operator</b>", ())
        add = {**genome_of(kind), "attrs": attrs, "plan": plan}
        kit.add(study, 0.5 - i / 10, 10.0 * 10**i, **add)
    return study


def test_the_table_holds_every_public_plot() -> None:
    functions = {f"plot_{name}": plot.function for name, plot in PLOTS.items()}
    public = [name for name in visualization.__all__ if name.startswith("plot_")]
    assert functions == {name: getattr(visualization, name) for name in public}


@every_plot
def test_an_empty_study_gives_a_sentence(plot: Plot) -> None:
    assert sentence(plot(kit.study())) == "This study has no finished trial yet."


@every_plot
def test_a_study_of_failures_gives_a_sentence(plot: Plot) -> None:
    study = kit.study()
    for state in (TrialState.FAIL, TrialState.FAIL, TrialState.PRUNED):
        kit.add(study, state=state)
    assert "None" in sentence(plot(study)) or "No finished trial" in sentence(plot(study))


@every_plot
def test_one_trial_gives_a_figure_or_a_sentence(plot: Plot) -> None:
    study = kit.study()
    kit.add(study, 0.5, 100.0)
    figure = plot(study)
    assert figure.data or sentence(figure).endswith(".")


@every_plot
def test_running_and_waiting_trials_are_left_out(plot: Plot) -> None:
    study = kit.study()
    study.enqueue_trial({"x": 1})
    study.ask()
    study.ask()
    assert sentence(plot(study)) == "This study has no finished trial yet."


@every_plot
def test_infinite_values_are_no_crash(plot: Plot) -> None:
    study = kit.study()
    kit.add(study, float("inf"), 10.0)
    kit.add(study, 0.5, float("-inf"))
    kit.add(study, float("inf"), float("inf"))
    assert plot(study).to_json()


@every_plot
def test_hostile_text_is_escaped(plot: Plot) -> None:
    text = plot(hostile_study()).to_json()
    plain = json.dumps(json.loads(text))
    for tag in ("<img", "<a ", "<i>", "<b>operator"):
        assert tag not in plain, tag


@every_plot
def test_hostile_templates_are_constant(plot: Plot) -> None:
    for trace in plot(hostile_study()).data:
        assert "alert" not in str(getattr(trace, "hovertemplate", ""))


@every_plot
def test_figures_are_transparent(plot: Plot) -> None:
    layout = plot(kit.family()).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"


@every_plot
def test_the_study_is_left_as_it_was(plot: Plot) -> None:
    study = kit.family()
    before = study.trials
    plot(study)
    assert study.trials == before


@pytest.fixture(scope="module")
def large_study() -> optuna.Study:
    study = kit.study()
    attrs = {"curve": [[e, 1.0, 0.5] for e in range(10)]}
    for i in range(2000):
        parents = (i - 1, i - 7, i - 9) if i > 20 else ()
        plan = (max(0, i - 20), "difference" if parents else "initial", parents)
        kit.add(study, (i * 37 % 101) / 101, 10.0 + i * 61 % 997, plan=plan, attrs=attrs)
    return study


@every_plot
def test_many_trials_are_few_traces(plot: Plot, large_study: optuna.Study) -> None:
    assert len(plot(large_study).data) < 30


def test_importing_the_package_loads_no_plots() -> None:
    code = (
        "import sys, optuna_de, optuna_de.cnn.drawing.plots, optuna_de.cnn.report.notebook\n"
        "sys.exit(any(m in sys.modules for m in ('plotly', 'matplotlib', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("plot", [visualization.plot_hypervolume, visualization.plot_diversity])
def test_a_line_of_one_trial_is_a_mark(plot: Plot) -> None:
    study = kit.study()
    kit.add(study, 0.5, 100.0)
    assert {trace.mode for trace in plot(study).data} == {"markers"}


def test_without_plotly_one_sentence_names_the_extra() -> None:
    code = "import sys; sys.modules['plotly'] = None; import optuna_de.visualization"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        'ModuleNotFoundError: Plots need plotly; install the package as "optuna-de[plots]".'
    )
