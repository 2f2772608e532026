"""The command best, on studies of any objectives."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import create_trial

from optuna_de.cli.app import run
from optuna_de.cli.runs.fit import known_text
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.fitting.plan import make_plan
from optuna_de.cnn.study.trials import useful_front
from tests.cnn.training.kit import SMALL, study

LARGE = "B64k3-B64k3-GAP"


def test_known_networks_are_told() -> None:
    plan = make_plan(7200, Region(20_000, 1_000_000), 45_000, 0.001)
    one = replace(plan, known=(("resnet20", "B16k3-GAP"),))
    assert known_text(one) == "1 known network starts too: resnet20 (--no-known leaves them out)."
    two = replace(plan, known=2 * one.known)
    assert known_text(two).startswith("2 known networks start too: resnet20; resnet20 (")


@pytest.mark.parametrize("names", [("error", "macs"), ("error", "parameters", "macs")])
def test_best_counts_parameters_whatever_the_objectives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...]
) -> None:
    url, out = f"sqlite:///{tmp_path}/best.db", tmp_path / "out"
    made = study(url, tmp_path / "runs", objectives=names)
    least = [0.05, *[20_000.0] * (len(names) - 1)]
    made.add_trial(create_trial(values=least, user_attrs={"architecture": LARGE}))
    command = ["best", "--storage", url, "--study", "found", "--device", "cpu", "--threads", "1"]
    trained = ["--max-parameters", "2k", "--epochs", "1", "--out", str(out)]
    assert run([*command, *trained]) == 0
    assert json.loads((out / "setup.json").read_text())["architecture"] == SMALL
    capsys.readouterr()
    assert run([*command, "--max-parameters", "10"]) == 2
    assert "no network of at most 10 parameters on its front." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("error", "parameters"), [0, 1, 2, 3]),  # 20,000 parameters are beyond the region
        (("error", "macs"), [6, 0, 1, 2, 3]),
        (("error", "parameters", "macs"), [0, 1, 2, 3]),
    ],
)
def test_a_region_bounds_parameters_and_no_other_price(
    tmp_path: Path, names: tuple[str, ...], numbers: list[int]
) -> None:
    made = study(f"sqlite:///{tmp_path}/s.db", tmp_path / "runs", objectives=names)
    values = [0.05, *[20_000.0] * (len(names) - 1)]
    made.add_trial(create_trial(values=values, user_attrs={"architecture": LARGE}))
    assert [trial.number for trial in useful_front(made)] == numbers


def test_an_error_beyond_the_region_is_no_pick_unless_few_reach_it(tmp_path: Path) -> None:
    made = study(f"sqlite:///{tmp_path}/s.db", tmp_path / "runs", max_error=0.3)
    assert [trial.number for trial in useful_front(made)] == [0, 1, 2, 3]  # two of four reach it
    for size in range(2000, 2006):
        values = [0.25, float(size)]
        made.add_trial(create_trial(values=values, user_attrs={"architecture": SMALL}))
    assert [trial.number for trial in useful_front(made)] == [0, 1]
