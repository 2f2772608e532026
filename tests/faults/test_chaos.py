"""The drill's count of lost and duplicated trials, on studies where the answer is known."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from benchmarks.sharing.chaos import tally
from optuna_de.storage.stale_trials import OWED

DONE, FAIL, WAITING = TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING


def study_of(*trials: tuple[TrialState, list[int]], died: bool = False) -> optuna.Study:
    """Return a study of states and the ancestors of each trial."""
    study = optuna.create_study(directions=["minimize"] * 2)
    for number, (state, ancestors) in enumerate(trials):
        values = [float(number), -float(number)] if state == DONE else None
        attributes: dict[str, Any] = {"retry_history": ancestors} if ancestors else {}
        attributes |= {OWED: number} if died else {}
        study.add_trial(create_trial(state=state, values=values, system_attrs=attributes))
    return study


def test_a_clone_stands_for_its_ancestors() -> None:
    counts = tally(study_of((FAIL, []), (FAIL, [0]), (DONE, []), (DONE, [0, 1])), 2)
    assert (counts["trials"], counts["finished"]) == (4, 2)
    assert (counts["lost"], counts["repeated"], counts["front"]) == (0, 0, "equal")


def test_what_nobody_finished_is_lost_unless_it_waits() -> None:
    assert tally(study_of((FAIL, []), (FAIL, [0]), (DONE, [])), 2)["lost"] == 1
    counts = tally(study_of((FAIL, []), (WAITING, [0])), 2)
    assert (counts["lost"], counts["waiting"]) == (0, 1)


def test_two_results_of_one_root_are_duplicates() -> None:
    assert tally(study_of((DONE, []), (DONE, [0]), (DONE, [0])), 2)["repeated"] == 1


def test_what_died_too_often_is_given_up_and_not_lost() -> None:
    study = study_of((FAIL, []), (FAIL, [0]), died=True)
    counts = tally(study, 1, max_retry=1)
    assert (counts["lost"], counts["given up"]) == (0, 1)
    counts = tally(study, 1, max_retry=2)
    assert (counts["lost"], counts["given up"]) == (1, 0)
