"""Laws of a rung, and the same decisions whatever happens to workers."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from optuna_de.evolution.pareto import dominators
from optuna_de.halving import Halving, Rung, rate_margin, rivals, rungs_of
from tests.drills import POSIX

MIN, MAX = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
NEVER_SPARED = Halving(rungs=(1, 3), reduction_factor=3.0, full_share=0.0)
POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30)
POINT = st.tuples(st.integers(0, 9), st.integers(0, 9))


def study_of(
    rows: Sequence[tuple[float, ...]], directions: Sequence[StudyDirection]
) -> optuna.Study:
    """Return a study whose trials have all reached rung 1 with the given values."""
    study = optuna.create_study(directions=directions)
    for values in rows:
        NEVER_SPARED.should_stop(study.ask(), 1, values)
    return study


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"rungs": ()}, "rungs are ()"),
        ({"rungs": (0, 3)}, "rungs are (0, 3)"),
        ({"rungs": (3, 1)}, "rungs are (3, 1)"),
        ({"rungs": (3, 3)}, "rungs are (3, 3)"),
        ({"reduction_factor": 1.0}, "factor is 1.0"),
        ({"reduction_factor": float("nan")}, "factor is nan"),
        ({"full_share": 1.5}, "share is 1.5"),
    ],
)
def test_bad_settings_are_named(arguments: dict[str, object], part: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        Halving(**arguments)  # type: ignore[arg-type]
    assert part in str(error.value)


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(2, (1,)), (3, (1, 2)), (10, (1, 3, 7)), (27, (1, 3, 9, 18))]
)
def test_rungs_lie_within_a_training(epochs: int, rungs: tuple[int, ...]) -> None:
    assert Halving.within(epochs).rungs == rungs


def test_a_training_of_one_epoch_has_no_rung() -> None:
    with pytest.raises(ValueError, match="There are 1 epochs"):
        Halving.within(1)


@pytest.mark.parametrize(
    ("epoch", "values"), [(0, (1.0, 2.0)), (1, (1.0,)), (1, (1.0, float("nan")))]
)
def test_bad_values_are_named(epoch: int, values: tuple[float, ...]) -> None:
    study = optuna.create_study(directions=[MIN, MIN])
    with pytest.raises(ValueError, match=r"epoch (is|at)? ?0|values at epoch 1"):
        NEVER_SPARED.should_stop(study.ask(), epoch, values)


@pytest.mark.parametrize(
    ("direction", "worse", "margin", "stops"),
    [
        (MIN, 0.6, 0.05, True),
        (MIN, 0.6, 0.1, False),
        (MAX, 0.4, 0.05, True),
        (MAX, 0.4, 0.1, False),
    ],
)
def test_a_value_gets_the_benefit_of_its_margin(
    direction: StudyDirection, worse: float, margin: float, stops: bool
) -> None:
    study = study_of([(0.5, 1.0), (0.5, 1.0)], [direction, MIN])
    trial = study.ask()
    assert NEVER_SPARED.should_stop(trial, 1, (worse, 1.0), (margin, 0.0)) is stops
    assert rungs_of(trial.user_attrs)[1].values == (worse, 1.0)


@pytest.mark.parametrize("margins", [(0.1,), (-0.1, 0.0), (float("nan"), 0.0)])
def test_bad_margins_are_named(margins: tuple[float, ...]) -> None:
    study = optuna.create_study(directions=[MIN, MIN])
    with pytest.raises(ValueError, match="must be 2 numbers of 0 or more"):
        NEVER_SPARED.should_stop(study.ask(), 1, (0.5, 1.0), margins)


def test_the_margin_of_a_rate_follows_the_standard_error() -> None:
    assert rate_margin(0.5, 100, 1.0) == pytest.approx(0.75 * 0.05)
    assert rate_margin(0.5, 400, 1 / 16) == pytest.approx(0.75 * 0.025 * 2)
    assert rate_margin(0.0, 100, 1.0) > 0


@given(POINT, POINTS)
def test_the_front_always_goes_on(own: tuple[int, int], others: list[tuple[int, int]]) -> None:
    dominated = any(o != own and o[0] <= own[0] and o[1] <= own[1] for o in others)
    if not dominated:
        assert not NEVER_SPARED.decide(own, others, [MIN, MIN], 0)


@given(POINT, POINTS)
def test_order_and_direction_of_rivals_do_not_matter(
    own: tuple[int, int], others: list[tuple[int, int]]
) -> None:
    stop = NEVER_SPARED.decide(own, others, [MIN, MIN], 0)
    assert NEVER_SPARED.decide(own, others[::-1], [MIN, MIN], 0) == stop
    turned = [(a, -b) for a, b in others]
    assert NEVER_SPARED.decide((own[0], -own[1]), turned, [MIN, MAX], 0) == stop


@given(POINT, POINTS)
def test_a_better_value_never_stops_a_trial_that_went_on(
    own: tuple[int, int], others: list[tuple[int, int]]
) -> None:
    if not NEVER_SPARED.decide(own, others, [MIN, MIN], 0):
        assert not NEVER_SPARED.decide((own[0] - 1, own[1]), others, [MIN, MIN], 0)


@pytest.mark.parametrize(("factor", "kept"), [(2.0, 15), (3.0, 10), (30.0, 1)])
def test_a_chain_keeps_its_best_share(factor: float, kept: int) -> None:
    chain = [(i, i) for i in range(30)]
    halving = Halving(reduction_factor=factor, full_share=0.0)
    stops = [halving.decide(own, [o for o in chain if o != own], [MIN, MIN], 0) for own in chain]
    assert stops == [False] * kept + [True] * (30 - kept)


def test_dominators_are_counted() -> None:
    losses = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert dominators(losses).tolist() == [0, 0, 2, 2, 4]


def test_a_share_runs_to_the_end_evenly() -> None:
    halving = Halving(rungs=(1, 3), full_share=0.1)
    spared = [halving.runs_to_end(i) for i in range(1000)]
    assert all(9 <= sum(spared[i : i + 100]) <= 11 for i in range(0, 900, 50))
    assert all(Halving(full_share=1.0).runs_to_end(i) for i in range(100))
    worst, rival = (9.0, 9.0), [(0.0, 0.0)] * 50
    stops = [halving.decide(worst, rival, [MIN, MIN], i) for i in range(1000)]
    assert stops == [not s for s in spared]


def test_two_objectives_of_mixed_directions() -> None:
    rows = [(0.9, 10.0), (0.5, 5.0), (0.1, 1.0)] * 4  # accuracy up, size down: all on the front
    study = study_of(rows, (MAX, MIN))
    assert not NEVER_SPARED.should_stop(study.ask(), 1, (0.95, 20.0))
    assert NEVER_SPARED.should_stop(study.ask(), 1, (0.05, 20.0))


def test_one_and_three_objectives() -> None:
    assert NEVER_SPARED.should_stop(study_of([(1.0,)] * 9, (MIN,)).ask(), 1, (2.0,))
    three = study_of([(1.0, 1.0, 1.0)] * 9, (MIN,) * 3)
    assert not NEVER_SPARED.should_stop(three.ask(), 1, (2.0, 2.0, 0.0))
    assert NEVER_SPARED.should_stop(three.ask(), 1, (2.0, 2.0, 1.0))


class CountingStorage(optuna.storages.InMemoryStorage):
    """Counts the reads of all trials and the writes of attributes."""

    reads = writes = 0

    def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        self.reads += 1
        assert kwargs["deepcopy"] is False
        return super().get_all_trials(*args, **kwargs)

    def set_trial_user_attr(self, *args: Any) -> None:
        self.writes += 1
        super().set_trial_user_attr(*args)


def test_a_rung_costs_one_read_and_one_write_and_other_epochs_none() -> None:
    storage = CountingStorage()
    trial = optuna.create_study(storage=storage, directions=[MIN, MIN]).ask()
    storage.reads, costs = 0, []
    for epoch in range(1, 5):
        NEVER_SPARED.should_stop(trial, epoch, (1.0, 1.0))
        costs.append((storage.reads, storage.writes))
    assert costs == [(1, 1), (1, 1), (2, 2), (2, 2)]


def test_a_rung_is_decided_once() -> None:
    study = study_of([(1.0, 1.0)], (MIN, MIN))
    trial = study.ask()
    assert NEVER_SPARED.should_stop(trial, 1, (2.0, 2.0))
    assert NEVER_SPARED.should_stop(trial, 1, (0.0, 0.0))
    assert NEVER_SPARED.should_stop(trial, 2, (0.0, 0.0))
    assert rungs_of(trial.user_attrs) == {1: Rung(1, (2.0, 2.0), True)}


@pytest.mark.parametrize(("value", "later"), [(0.0, -1.0), (2.0, 3.0)])
def test_a_retried_trial_gets_the_same_decision(value: float, later: float) -> None:
    study = study_of([(1.0, 1.0)] * 9, (MIN, MIN))
    first = study.ask()
    stop = NEVER_SPARED.should_stop(first, 1, (value, value))
    study.tell(first, state=TrialState.FAIL)
    study.add_trial(create_trial(state=TrialState.WAITING, user_attrs=first.user_attrs))
    again = study.ask()
    for _ in range(100):
        NEVER_SPARED.should_stop(study.ask(), 1, (later, later))
    assert NEVER_SPARED.should_stop(study.ask(), 1, (value, value)) != stop
    assert NEVER_SPARED.should_stop(again, 1, (value, value)) == stop
    assert rungs_of(again.user_attrs)[1].trial == first.number


@pytest.mark.parametrize(
    "foreign", [None, "text", [], {"values": 1}, {"trial": 0, "values": ["x"], "stop": False}]
)
def test_f45_a_rung_that_another_program_wrote_is_ignored(foreign: Any) -> None:
    study = study_of([(1.0, 1.0)], (MIN, MIN))
    attributes = {**study.trials[0].user_attrs, "optuna_de:v1:rung:1": foreign}
    short = {"trial": 9, "values": [0.0], "stop": True}
    odd = {"optuna_de:v1:rung:one": short, "optuna_de:v1:rung:1": short}
    for attrs in (attributes, odd):
        study.add_trial(create_trial(state=TrialState.WAITING, user_attrs=attrs))
    assert rungs_of(attributes) == {}
    assert rivals(study.trials[:2], 1, 99) == [(1.0, 1.0)]
    _, _, newest = study.ask(), study.ask(), study.ask()
    assert NEVER_SPARED.should_stop(newest, 1, (2.0, 2.0))


def test_a_trial_and_its_retry_count_once() -> None:
    study = study_of([(1.0, 1.0), (2.0, 2.0)], (MIN, MIN))
    study.add_trial(create_trial(state=TrialState.WAITING, user_attrs=study.trials[0].user_attrs))
    assert rivals(study.trials, 1, 99) == [(1.0, 1.0), (2.0, 2.0)]
    assert rivals(study.trials, 1, 0) == [(2.0, 2.0)]
    assert rivals(study.trials, 3, 99) == []


def test_a_spared_trial_stays_spared_when_retried() -> None:
    halving = Halving(rungs=(1, 3), full_share=0.1)
    study = optuna.create_study(directions=[MIN, MIN])
    spared = study.ask()  # number 0
    for _ in range(9):
        halving.should_stop(study.ask(), 3, (1.0, 1.0))
    assert not halving.should_stop(spared, 1, (5.0, 5.0))
    study.add_trial(create_trial(state=TrialState.WAITING, user_attrs=spared.user_attrs))
    again = study.ask()
    assert not halving.runs_to_end(again.number)
    assert not halving.should_stop(again, 3, (5.0, 5.0))


@settings(max_examples=20, deadline=None)
@given(st.lists(POINT, min_size=1, max_size=20))
def test_a_study_is_decided_as_its_values_say(rows: list[tuple[int, int]]) -> None:
    study = study_of([(float(a), float(b)) for a, b in rows], (MIN, MIN))
    for i, trial in enumerate(study.trials):
        before = [rungs_of(t.user_attrs)[1].values for t in study.trials[:i]]
        rung = rungs_of(trial.user_attrs)[1]
        assert rung.stop == NEVER_SPARED.decide(rung.values, before, [MIN, MIN], i)


WORKER = """
import os, signal, sys
import optuna
from optuna_de.halving import Halving
from optuna_de.storage.open_storage import open_storage

def objective(trial):
    size = trial.suggest_int("size", 1, 9)
    start = trial.suggest_float("start", 0, 1)
    for epoch in range(1, 10):
        error = start / epoch
        stop = epoch < 9 and halving.should_stop(trial, epoch, (error, size))
        if trial.number == kill_at and (stop or epoch == 3):
            os.kill(os.getpid(), signal.SIGKILL)
        if stop:
            raise optuna.TrialPruned
    return error, size

url, n, kill_at, seed = sys.argv[1], *map(int, sys.argv[2:])
halving = Halving(rungs=(1, 3), full_share=0.1)
storage = open_storage(url, heartbeat_interval=None)
sampler = optuna.samplers.RandomSampler(seed=seed)
study = optuna.load_study(study_name="s", storage=storage, sampler=sampler)
study.optimize(objective, n_trials=n)
"""

DECIDER = """
import sys
import optuna
from optuna_de.halving import Halving, rivals
study = optuna.load_study(study_name="s", storage=sys.argv[1])
trials, halving = study.get_trials(deepcopy=False), Halving(rungs=(1, 3))
print("".join(
    str(int(halving.decide((e / 40, s), rivals(trials, rung, n), study.directions, n)))
    for rung in (1, 3) for n in range(20) for e in range(0, 40, 5) for s in range(1, 10)
))
"""


def run_together(program: str, arguments: Sequence[Sequence[object]]) -> list[tuple[int, str]]:
    """Run a program once per row of arguments, at the same time; return codes and outputs."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, *map(str, row)], stdout=subprocess.PIPE, text=True
        )
        for row in arguments
    ]
    outputs = [process.communicate(timeout=300)[0].strip() for process in processes]
    return [(p.returncode, out) for p, out in zip(processes, outputs, strict=True)]


def sqlite_study(folder: Path) -> tuple[str, optuna.Study]:
    url = f"sqlite:///{folder}/study.db"
    return url, optuna.create_study(study_name="s", storage=url, directions=[MIN, MIN])


def test_processes_decide_alike_on_sqlite(tmp_path: Path) -> None:
    url, study = sqlite_study(tmp_path)
    assert run_together(WORKER, [(url, 8, -1, seed) for seed in range(3)]) == [(0, "")] * 3
    answers = run_together(DECIDER, [(url,)] * 2)
    assert answers[1] == answers[0]
    code, decisions = answers[0]
    assert (code, len(decisions), set(decisions)) == (0, 2 * 20 * 8 * 9, {"0", "1"})
    for trial in study.trials:
        stops = [rung.stop for rung in rungs_of(trial.user_attrs).values()]
        assert any(stops) == (trial.state == TrialState.PRUNED)


@POSIX
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(("number", "end"), [(5, TrialState.COMPLETE), (6, TrialState.PRUNED)])
def test_a_worker_killed_at_a_rung_loses_nothing(
    tmp_path: Path, number: int, end: TrialState
) -> None:
    url, study = sqlite_study(tmp_path)
    assert run_together(WORKER, [(url, 20, number, 0)]) == [(-signal.SIGKILL, "")]
    dead = study.trials[number]
    assert dead.state == TrialState.RUNNING
    study.tell(number, state=TrialState.FAIL)
    optuna.storages.RetryHeartbeatStaleTrialCallback()(study, dead)
    assert run_together(WORKER, [(url, 3, -1, 1)]) == [(0, "")]
    retried = study.trials[number + 1]
    assert retried.state == end
    assert retried.params == dead.params
    assert rungs_of(retried.user_attrs) == rungs_of(dead.user_attrs) != {}
    assert len(rivals(study.trials, 1, -1)) == len(study.trials) - 1
