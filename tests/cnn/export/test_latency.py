"""Latency: a device that answers, fails, hangs or talks; what is measured once is kept."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from optuna_de.cnn import CNNSpace, get_recipe, parse
from optuna_de.cnn.architecture.prices import LATENCY, Limit, MeasurementError
from optuna_de.cnn.architecture.units import MaxPool, NormConv
from optuna_de.cnn.export import latency
from optuna_de.cnn.export.latency import LatencyMeter, ask_device, time_onnx_file
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.worker.optimize import optimize
from tests.cnn.kit import digits

SHAPE = (1, 8, 8)
ANSWERS: dict[str, float | str] = {
    "echo loading; echo 2.5": 2.5,
    "test -s {model} && echo 1e-1": 0.1,
    "echo no network >&2; exit 3": r"ended with code 3 \(no network\)",
    "sleep 100 & sleep 100": "did not answer within 0.5 s",
    "echo fast": "one number of ms above 0, but is 'fast'",
    "echo 2.5 2.6": "but is '2.5 2.6'",
    "echo -1": "but is '-1'",
    "echo 0": "but is '0'",
    "echo nan": "but is 'nan'",
    "true": "but is ''",
}


@pytest.mark.parametrize("command", ANSWERS)
def test_a_device_is_asked(command: str, tmp_path: Path) -> None:
    (tmp_path / "a model.onnx").write_bytes(b"x")
    answer = ANSWERS[command]
    if isinstance(answer, float):
        assert ask_device(command, tmp_path / "a model.onnx", 20) == answer
        return
    began = time.monotonic()
    with pytest.raises(MeasurementError, match=answer) as caught:
        ask_device(command, tmp_path / "a model.onnx", 0.5)
    assert time.monotonic() - began < 50  # a child that lives on would keep it waiting
    assert "\n" not in str(caught.value)


def test_a_device_without_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match="device_command must be a command with"):
        LatencyMeter("ssh pi")
    with pytest.raises(ValueError, match="device_timeout must be above 0"):
        LatencyMeter(timeout=0)


def test_this_machine_is_measured_and_work_beside_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "SECONDS", 0.01)
    latency.export_untrained(parse("B8k3-GAP"), SHAPE, 10, tmp_path / "small.onnx")
    timing = time_onnx_file(tmp_path / "small.onnx", SHAPE)
    assert timing.milliseconds > 0
    assert timing.runs >= latency.RUNS
    assert 0 <= timing.interference <= 1
    assert timing.undisturbed <= timing.runs


def test_disturbed_runs_do_not_count() -> None:
    whole, shared = [(0.002, 0.002)] * 10, [(0.010, 0.003)] * 50
    quiet = latency._timing(whole + shared)
    assert (quiet.milliseconds, quiet.runs, quiet.undisturbed) == (2.0, 60, 10)
    assert quiet.interference == pytest.approx(1 - 0.17 / 0.52)
    loud = latency._timing(whole[:9] + shared)
    assert (loud.milliseconds, loud.undisturbed) == (3.0, 9)  # of the thread


def test_a_table_is_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LatencyMeter, "measure", lambda *_: 1.0)
    table = LatencyMeter().table((NormConv, MaxPool), 8, rows=10, networks=3)
    single, whole = table.rows[:20], table.rows[20:]
    assert {text[0] for text, *_ in single} == {"B", "M"}
    assert {shape[1] for _, shape, _ in single} == {8, 4, 2}
    assert len({text for text, *_ in whole}) == 3
    assert {shape for _, shape, _ in whole} == {(3, 8, 8)}


def test_a_failure_loses_no_trial_and_nothing_is_measured_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, space = digits(60, 20), CNNSpace(SHAPE)
    script = tmp_path / "bench.py"
    lines = [
        f"import os; file = open({str(tmp_path / 'asked')!r}, 'a'); file.write('x'); file.flush()",
        f"assert os.path.exists({str(tmp_path / 'on')!r}); print(1.5)",
    ]
    script.write_text("\n".join(lines))
    meter = LatencyMeter(f"{sys.executable} {script} {{model}}")
    price = replace(LATENCY, of=meter.measure)
    space = replace(space, limits=(Limit(price, 5.0),))
    objective = CNNObjective(data, space, get_recipe("fast"), epochs=1, prices=(price,))
    study = optuna.create_study(directions=["minimize"] * 2)
    for _ in range(2):
        study.enqueue_trial(space.encode(parse("B8k3-MP-GAP")))
    assert optimize(study, objective, total=2).given_back == 1
    assert "Trial 0: The device command ended with code 1" in caplog.text
    (tmp_path / "on").touch()
    optimize(study, objective, total=2)
    done = study.get_trials(states=[TrialState.COMPLETE])
    assert [t.values[1] for t in done] == [1.5, 1.5]
    assert done[0].user_attrs["measured"] == {"latency": 1.5}
    assert (tmp_path / "asked").read_text() == "xx"
