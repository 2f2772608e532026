"""What a terminal shows: the line of progress, lines for pipes, the front as a table."""

import io

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from rich.console import Console

from optuna_de.cli.progress.search_progress import fold, front_table, search_progress
from optuna_de.cnn.study.trials import count_finished, pareto_front
from optuna_de.storage.stale_trials import quietly_experimental

CHAIN = "-".join(f"B{i}k3" for i in range(10, 26)) + "-GAP"


def study_of(*rows: tuple[float, int, str]) -> optuna.Study:
    study = optuna.create_study(study_name="a [b] study", directions=["minimize"] * 2)
    with quietly_experimental():
        study.set_metric_names(["error", "parameters"])
    for row in rows:
        add(study, *row)
    return study


def add(study: optuna.Study, error: float, parameters: int, text: str) -> None:
    attrs = {"architecture": text, "macs": 1_234_567}
    study.add_trial(create_trial(values=[error, parameters], user_attrs=attrs))


def end(study: optuna.Study, state: TrialState, reason: str | None = None) -> None:
    attrs = {"architecture": "C8k3"} | ({"reason": reason} if reason else {})
    study.add_trial(create_trial(state=state, user_attrs=attrs))


def shown(study: optuna.Study, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(front_table(study, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_front_is_by_error_with_one_trial_an_architecture() -> None:
    study = study_of((0.2, 10, "A"), (0.1, 20, "B"), (0.1, 20, "B"), (0.3, 30, "C"))
    assert [t.number for t in pareto_front(study)] == [1, 0]


def test_infeasible_trials_are_not_on_the_front() -> None:
    study = study_of((0.2, 10, "A"))
    trial = study.ask()
    trial.set_constraint("memory", 1.0)
    study.tell(trial, [0.1, 1.0])
    assert [t.number for t in pareto_front(study)] == [0]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_table_fits_and_folds_between_units(width: int) -> None:
    lines = shown(study_of((0.1234, 12_345_678, CHAIN)), width)
    assert max(map(len, lines)) <= width
    assert lines[0].strip() == "Pareto front of a [b] study"
    assert any("12.34%" in line and "12,345,678" in line for line in lines)
    cells = [line.split("│")[2].strip() for line in lines if line.startswith("│")]
    assert "".join(cells) == CHAIN
    assert all(cell.endswith(("-", "GAP")) for cell in cells)


def test_no_front_is_a_sentence() -> None:
    assert front_table(study_of()) == "Study a [b] study has no finished network yet."


@pytest.mark.parametrize("width", [1, 6, 12, 1000])
def test_fold_keeps_the_text(width: int) -> None:
    lines = fold(CHAIN, width).split("\n")
    assert "".join(lines) == CHAIN
    assert all(len(line) <= width or line.count("-") <= 1 for line in lines)


def test_pipes_get_a_line_for_each_trial_that_ends() -> None:
    study = study_of((0.5, 1, "OLD"))
    console = Console(file=io.StringIO(), width=40)
    with search_progress(study, 5, console) as look:
        add(study, 0.25, 2000, CHAIN)
        end(study, TrialState.PRUNED, "over [the] cap")
        end(study, TrialState.FAIL)
        end(study, TrialState.RUNNING)
        look()
        look()
        add(study, 0.125, 10, "NEW")
        look()
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        f"2 of 5: error 25.00%, 2,000 parameters, {CHAIN}",
        "3 of 5: stopped (over [the] cap), C8k3",
        "3 of 5: trial 3 failed or was interrupted, C8k3",
        "4 of 5: error 12.50%, 10 parameters, NEW",
    ]
    assert count_finished(study) == 4


def test_a_terminal_gets_one_line_that_follows_the_study() -> None:
    study = study_of((0.5, 1, "OLD"))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with search_progress(study, 5, console) as look:
        add(study, 0.25, 2000, "NEW")
        look()
    assert isinstance(console.file, io.StringIO)
    last = console.file.getvalue().split("\r")[-1]
    assert "2/5" in last
    assert "best error 25.00%, front of 2" in last
    assert "left" in last


def test_a_search_that_its_compute_ends_tells_no_total() -> None:
    study = study_of()
    stream = io.StringIO()
    with search_progress(study, None, Console(file=stream, width=80)) as refresh:
        add(study, 0.5, 100, "B8k3-GAP")
        refresh()
    assert stream.getvalue().startswith("1: error 50.00%, 100 parameters")
