"""Attributes that someone else wrote into a shared study: F45 of the fault list.

Every value is planted in a study in SQLite, on its Pareto front; then the commands run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState, create_trial

from optuna_de import _compat, visualization
from optuna_de.cli.app import run
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.report.notebook import show_front
from optuna_de.cnn.study.artifacts import FILES_KEY, open_store, read
from optuna_de.cnn.study.setup import SETUP_KEY
from optuna_de.cnn.study.trials import count_finished
from optuna_de.sampler.plan import PLAN_KEY
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.stale_trials import parent, reap
from tests.cnn.training.kit import SMALL
from tests.cnn.training.kit import study as begun_study

QUICK = ["--device", "cpu", "--threads", "1", "--epochs", "1"]
STEERING = "\x1b]0;owned\x07\x1b[2J\u202eC8k3\r\b\x9b31m"
HUGE = "C999999999999k3"
ROWS: dict[str, dict[str, Any]] = {
    "text for numbers": {"macs": "many", "seconds": "long", "epochs": "x", "generation": "y"},
    "lists": {n: [["C8k3"]] for n in ("architecture", "macs", "seconds", "epochs", "machine")},
    "objects": {n: {"a": 1} for n in ("architecture", "curve", "macs", "machine", "reason")},
    "numbers for texts": {"architecture": 7, "machine": True, "reason": 1.5, "curve": 3},
    "numbers out of range": {
        **{"macs": 10**400, "seconds": 1e308, "epochs": 10**30, "generation": -1},
        "curve": [[10**400, 1e308, -(10**400)], [1, float("nan"), float("inf")]],
    },
    "negative numbers": {"macs": -1, "seconds": -5.0, "epochs": -3, "curve": [[-1, -2, -3]]},
    "a million units": {"architecture": "-".join(["C8k3"] * 10**6)},
    "a width of 10^12": {"architecture": "C1000000000000k3"},
    "the largest width": {"architecture": HUGE, "macs": 10**18},
    "a thousand units": {"architecture": "-".join([HUGE] * 600)},
    "steering": dict.fromkeys(("architecture", "machine", "reason", "status"), STEERING),
    "a curve of rubbish": {"curve": [[1], "ab", [["x"], {}, None], [1, 2, 3, 4], 7]},
    "a curve of text": {"curve": "rubbish"},
    "nothing": dict.fromkeys(("architecture", "curve", "macs", "seconds"), None),
    "empty": {"architecture": "", "curve": [], "machine": "", "reason": ""},
}
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
"""Control characters but the line feed, and marks that turn the direction of text."""
SCRIPTS = re.compile(r'<script( type="text/plain" id="plotly")?>.*?</script>', re.DOTALL)
PLANS: dict[str, Any] = {
    "a list": [1, 2],
    "a text": "plan",
    "without parents": {"generation": 1, "operator": "edit"},
    "nested": {"generation": 1, "operator": [], "parents": [["a"]], "key": [0, 1]},
    "huge": {"generation": 10**400, "operator": "edit", "parents": [0, 1, 2], "key": [0, 1]},
    "steering": {"generation": 1, "operator": STEERING, "parents": [0, 1, 2], "key": [0, 1]},
}


SOUND = "a sound network with a foreign rest"
ROWS[SOUND] = {"architecture": SMALL, "macs": [1], "seconds": "x", "curve": 5, "machine": [1]}


@pytest.fixture(autouse=True)
def fixture_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(name="url", scope="module")
def fixture_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a study whose front holds every row, each under its number."""
    folder = tmp_path_factory.mktemp("planted")
    url = f"sqlite:///{folder}/study.db"
    study = begun_study(url, folder / "runs", epochs=1)
    for i, attrs in enumerate(ROWS.values()):
        study.add_trial(create_trial(state=TrialState.PRUNED, user_attrs=attrs))
        add = {**network(i), "values": [0.05 - i / 1000, 2000.0 + i], "user_attrs": attrs}
        study.add_trial(create_trial(**add))
    for plan in PLANS.values():
        system = {PLAN_KEY: plan, FILES_KEY: plan, "retry_history": plan}
        study.add_trial(create_trial(**network(0), values=[0.9, 9000.0], system_attrs=system))
    return url


def network(seed: int) -> dict[str, Any]:
    """Return parameters of a network, as a search draws them."""
    space = CNNSpace((1, 8, 8), 10)
    params = space.initial(np.random.default_rng(seed))
    return {"params": params, "distributions": space.distributions(params)}


def study_in(url: str) -> optuna.Study:
    return optuna.load_study(study_name="found", storage=open_storage(url))


def number_of(row: str) -> int:
    return 7 + 2 * list(ROWS).index(row)


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Return exit code and output of a command; nothing in it steers a terminal."""
    code = run([str(a) for a in arguments])
    output = "".join(capsys.readouterr())
    assert "Traceback" not in output
    assert not STEERS.search(output), repr(output)
    return code, output


def test_f45_a_search_goes_on(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = count_finished(study_in(url))
    options = ["--storage", url, "--study-name", "found", "--trials", done + 1, "--epochs", "1"]
    code, output = command(capsys, "search", *options, "--workers", "1", "--device", "cpu")
    assert code == 0, output
    assert "Pareto front of found" in output
    assert "unreadable" in output


@pytest.mark.parametrize("row", ROWS)
def test_f45_train_refuses_what_is_no_network(
    url: str, row: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--storage", url, "--study-name", "found", "--subset", "300", *QUICK]
    code, output = command(capsys, "train", *options, "--trial", number_of(row), "--out", "out")
    if row == SOUND:
        assert code == 0, output
    else:
        assert code in (1, 2)
        assert output.startswith("Error: ")
        assert output.count("\n") == 1
        assert len(output) < 400


def test_f45_compare_refuses_what_is_no_network(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--storage", url, "--study-name", "found", "--baselines", "", "--picks", len(ROWS)]
    code, output = command(capsys, "compare", *options, "--subset", "300", *QUICK)
    assert code == 2
    assert output.startswith("Error: ")
    assert output.count("\n") == 1


@pytest.mark.parametrize("fmt", ["html", "md"])
def test_f45_a_report_shows_unreadable(
    url: str, fmt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = command(
        capsys, "report", "--storage", url, "--format", fmt, "--out", "r", "--to-dashboard"
    )
    assert code == 0, output
    text = Path("r").read_text(encoding="utf-8")
    assert "unreadable" in text
    assert not STEERS.search(SCRIPTS.sub("", text))


@pytest.mark.parametrize("name", visualization.PLOTS)
def test_f45_a_plot_shows_unreadable(url: str, name: str) -> None:
    text = visualization.PLOTS[name].function(study_in(url)).to_json()
    assert not STEERS.search(json.dumps(json.loads(text), ensure_ascii=False))


def test_f45_a_notebook_shows_unreadable(url: str) -> None:
    shown = show_front(study_in(url), (1, 8, 8), 10)
    assert "unreadable" in shown.html
    assert "unreadable" in shown.text
    assert not STEERS.search(shown.html + shown.text)


def test_f45_files_that_no_search_recorded_are_absent(url: str, tmp_path: Path) -> None:
    planned = [t for t in study_in(url).trials if t.values == [0.9, 9000.0]]
    assert len(planned) == len(PLANS)
    assert all(read(trial, open_store(tmp_path)) == {} for trial in planned)


SETUPS: dict[str, Any] = {
    "a list": [1],
    "a seed of text": {"split seed": "x"},
    "a seed in a list": {"split seed": [0]},
    "a huge seed": {"split seed": 10**400},
    "images of text": {"images": "many"},
    "images in a list": {"images": [1, 2]},
    "data in a list": {"data": ["digits"]},
    "no fingerprint": {"data fingerprint": None},
    "a shape of text": {"image shape": "wide"},
    "classes of text": {"classes": "ten"},
    "a recipe in a list": {"recipe": ["seed"]},
    "steering": {"data": STEERING, "recipe": STEERING},
}


@pytest.fixture(name="begun", scope="module")
def fixture_begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """Return the URL of a study and the setup that its search recorded."""
    folder = tmp_path_factory.mktemp("begun")
    url = f"sqlite:///{folder}/study.db"
    return url, begun_study(url, folder / "runs").user_attrs[SETUP_KEY]


@pytest.mark.parametrize("name", SETUPS)
def test_f45_a_foreign_setup_is_refused(
    begun: tuple[str, dict[str, Any]], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url, setup = begun
    study, changed = study_in(url), SETUPS[name]
    study.set_user_attr(SETUP_KEY, {**setup, **changed} if isinstance(changed, dict) else changed)
    options = ["--storage", url, "--study-name", "found"]
    code, output = command(capsys, "report", *options, "--format", "md")
    assert code == 0, output
    for arguments in (
        ["search", *options, "--trials", "1", "--device", "cpu", "--workers", "1"],
        ["train", *options, "--trial", "0", *QUICK],
    ):
        code, output = command(capsys, *arguments)
        if code:  # a recipe is a default only
            assert code == 2
            assert output.startswith("Error: ")
            assert output.count("\n") == 1


@pytest.mark.parametrize("history", ["text", 7, {"a": 1}, [None, "x"]])
def test_f45_a_foreign_retry_history_counts_as_none(history: object) -> None:
    study = optuna.create_study()
    _compat.set_system_attr(study, study.ask(), "retry_history", history)
    assert parent(study.trials[0]) is None
    assert reap(study, study.trials[0])
    assert study.trials[1].system_attrs["retry_history"] == [0]
