"""One worker's loop: what ends it, what a failing trial costs, and whose signals it obeys."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.samplers import BruteForceSampler, GridSampler, RandomSampler
from optuna.study import MaxTrialsCallback
from optuna.terminator import TerminatorCallback
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from optuna_de.worker import GiveBack, TooManyFailuresError, optimize, stop_requested
from optuna_de.worker.signals import Stop, handling
from tests.drills import POSIX

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
COMPLETE, FAIL, WAITING = TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING


def draw(trial: Trial) -> float:
    return trial.suggest_float("x", 0, 1)


def states_of(study: optuna.Study) -> list[TrialState]:
    return [t.state for t in study.get_trials(deepcopy=False)]


def random_study() -> optuna.Study:
    return optuna.create_study(sampler=RandomSampler(seed=0))


@pytest.mark.parametrize(
    "make",
    [lambda: MaxTrialsCallback(3, states=None), lambda: _stop_at(2)],
    ids=["MaxTrialsCallback", "own"],
)
def test_a_callback_stops_the_loop_as_it_stops_optunas(make: Callable[[], Any]) -> None:
    ours, theirs = random_study(), random_study()
    optimize(ours, draw, total=10, callback=make())
    theirs.optimize(draw, n_trials=10, callbacks=[make()])
    assert states_of(ours) == states_of(theirs) == [COMPLETE] * 3


def _stop_at(number: int) -> Callable[[optuna.Study, FrozenTrial], None]:
    return lambda study, trial: study.stop() if trial.number == number else None


@pytest.mark.filterwarnings("ignore:`optuna.terminator` module:FutureWarning")
def test_a_terminator_stops_the_loop() -> None:
    class AfterTwo(optuna.terminator.BaseTerminator):
        def should_terminate(self, study: optuna.Study) -> bool:
            return len(study.trials) == 2

    study = random_study()
    optimize(study, draw, total=10, callback=TerminatorCallback(AfterTwo()))
    assert states_of(study) == [COMPLETE] * 2


def test_an_objective_stops_the_loop_and_its_trial_completes() -> None:
    study = random_study()

    def stop(trial: Trial) -> float:
        trial.study.stop()
        return draw(trial)

    assert optimize(study, stop, total=10).finished == 1
    assert states_of(study) == [COMPLETE]
    optimize(study, draw, total=3)  # a stop is over with its loop
    assert states_of(study) == [COMPLETE] * 3


@pytest.mark.parametrize(
    "make",
    [lambda: GridSampler({"n": [0, 1, 2]}), BruteForceSampler],
    ids=["grid", "brute force"],
)
def test_a_sampler_that_is_through_stops_the_loop(
    make: Callable[[], optuna.samplers.BaseSampler], caplog: pytest.LogCaptureFixture
) -> None:
    study = optuna.create_study(sampler=make())
    outcome = optimize(study, lambda trial: trial.suggest_int("n", 0, 2), total=20)
    assert (outcome.finished, outcome.failed, outcome.dropped) == (3, 0, 0)
    assert states_of(study) == [COMPLETE] * 3
    assert not caplog.records


def test_stop_outside_a_loop_is_still_an_error() -> None:
    study = random_study()
    optimize(study, draw, total=1)
    with pytest.raises(RuntimeError, match="inside an objective function or a callback"):
        study.stop()


def test_a_sampler_that_fails_after_a_trial_costs_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(RandomSampler):
        def after_trial(self, *_: object) -> None:
            raise ZeroDivisionError("sampler")

    study = optuna.create_study(sampler=Broken())
    outcome = optimize(study, draw, total=2)
    assert (outcome.finished, outcome.failed, outcome.dropped) == (2, 0, 0)
    assert caplog.messages[0] == (
        "Trial 0 is stored, but the sampler failed after it: ZeroDivisionError: sampler"
    )


def test_sys_exit_leaves_nothing_running_and_is_tried_again_as_after_a_death() -> None:
    study = random_study()

    def leave(_: Trial) -> float:
        sys.exit(7)

    for attempt in range(1, 5):
        with pytest.raises(SystemExit, match="7"):
            optimize(study, leave, total=1)
        assert TrialState.RUNNING not in states_of(study)
        assert states_of(study).count(FAIL) == attempt
    assert states_of(study) == [FAIL] * 4  # the third retry was the last


def test_a_nested_optimize_stops_itself_alone() -> None:
    outer, inner = random_study(), random_study()

    def nest(trial: Trial) -> float:
        optimize(inner, draw, total=len(inner.trials) + 5, callback=lambda s, _: s.stop())
        return draw(trial)

    optimize(outer, nest, total=3)
    assert (len(outer.trials), len(inner.trials)) == (3, 3)


def test_a_nested_optimize_of_the_same_study_stops_itself_alone() -> None:
    study = random_study()

    def nest(trial: Trial) -> float:
        if trial.number == 0:
            optimize(study, draw, total=3, callback=lambda s, _: s.stop())
        return draw(trial)

    optimize(study, nest, total=4)
    assert states_of(study) == [COMPLETE] * 4


needs_signals = POSIX


@needs_signals
def test_a_nested_optimize_leaves_the_outer_ones_signals() -> None:
    outer = random_study()

    def nest(trial: Trial) -> float:
        optimize(random_study(), draw, total=1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_requested()
        raise GiveBack

    outcome = optimize(outer, nest, total=3)
    assert (outcome.given_back, outcome.signal) == (1, signal.SIGTERM)
    assert states_of(outer) == [FAIL, WAITING]
    assert [t.user_attrs.get("reason") for t in outer.trials] == [
        "given back; trial 1 repeats it",
        None,
    ]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@needs_signals
def test_a_signal_in_a_nested_optimize_stops_both() -> None:
    outer, inner = random_study(), random_study()

    def give(_: Trial) -> float:
        os.kill(os.getpid(), signal.SIGTERM)
        raise GiveBack

    def nest(trial: Trial) -> float:
        assert optimize(inner, give, total=3).signal == signal.SIGTERM
        assert stop_requested()
        return draw(trial)

    assert optimize(outer, nest, total=3).signal == signal.SIGTERM
    assert states_of(outer) == [COMPLETE]
    assert states_of(inner) == [FAIL, WAITING]


@needs_signals
def test_a_nested_optimize_that_begins_after_the_signal_starts_nothing() -> None:
    outer, inner = random_study(), random_study()

    def nest(trial: Trial) -> float:
        os.kill(os.getpid(), signal.SIGTERM)
        assert optimize(inner, draw, total=3).signal == signal.SIGTERM
        return draw(trial)

    optimize(outer, nest, total=3)
    assert not inner.trials


@needs_signals
def test_a_hangup_gives_the_trial_back() -> None:
    """Also where the tests themselves run under nohup, which ignores the signal."""
    study, old = random_study(), signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def hang_up(trial: Trial) -> float:
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGHUP]).start()
        while not stop_requested():
            time.sleep(0.01)
        raise GiveBack

    try:
        assert optimize(study, hang_up, total=2).signal == signal.SIGHUP
    finally:
        signal.signal(signal.SIGHUP, old)
    assert states_of(study) == [FAIL, WAITING]


@needs_signals
def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    study, old = random_study(), signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def hang_up(trial: Trial) -> float:
        os.kill(os.getpid(), signal.SIGHUP)
        return draw(trial)

    try:
        assert optimize(study, hang_up, total=2).signal == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, old)
    assert states_of(study) == [COMPLETE] * 2


def test_handlers_that_c_installed_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[Any] = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: put.append(handler))
    with handling(Stop(1.0)):
        pass
    assert None not in put


def refuse(trial: Trial) -> float:
    length = trial.suggest_int("length", 1, 9)
    if length > 9:
        raise ValueError(f"length is {length}")
    return float(length)


@pytest.mark.filterwarnings("ignore:Fixed parameter")
def test_f42_queued_trials_that_cannot_run_fail_and_the_search_goes_on() -> None:
    study = random_study()
    for hostile in (10**6, 10**30, "nine", None, float("nan")) * 3:
        study.enqueue_trial({"length": hostile})
    for _ in range(5):
        study.add_trial(
            create_trial(
                state=WAITING,
                params={"length": 10**6},
                distributions={"length": IntDistribution(1, 10**6)},
            )
        )
    outcome = optimize(study, refuse, total=3, max_failures=2)
    assert (outcome.finished, outcome.failed) == (3, 20)
    assert states_of(study) == [FAIL] * 20 + [COMPLETE] * 3


def test_failures_between_queued_trials_still_stop_the_worker() -> None:
    study = random_study()
    study.enqueue_trial({"x": 2})

    def fail(_: Trial) -> float:
        raise ValueError("never")

    with pytest.raises(TooManyFailuresError, match="last 2 trials failed"):
        optimize(study, fail, max_failures=2)
    assert states_of(study) == [FAIL] * 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"total": 0}, "total must be at least 1 or None, but is 0."),
        ({"timeout": 0.0}, "timeout must be above 0 or None, but is 0.0."),
        ({"timeout": float("nan")}, "timeout must be above 0 or None, but is nan."),
        ({"max_failures": 0}, "max_failures must be at least 1, but is 0."),
        ({"grace": -1.0}, "grace must be at least 0, but is -1.0."),
        ({"heartbeat_interval": 0.0}, "heartbeat_interval must be above 0, but is 0.0."),
    ],
)
def test_a_wrong_argument_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    study = random_study()
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        optimize(study, draw, **changes)
    assert str(caught.value) == sentence
    assert not study.trials


def test_an_infinitely_good_value_fails_with_a_sentence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(TooManyFailuresError):
        optimize(random_study(), lambda _: -float("inf"), max_failures=1)
    assert caplog.messages == [
        "Trial 0 failed: ValueError: The objective returned -inf, but every value must be "
        "finite in the direction that is optimised."
    ]


def test_finished_trials_are_logged_as_optuna_does(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="optuna"):
        study = optuna.create_study()
        optimize(study, lambda trial: trial.suggest_float("x", 0, 1), total=1)
    assert "Trial 0 finished with value: " in caplog.text
