"""The incremental fold has the populations of a plain one, bit for bit."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_de.evolution.population import Finished, Fold, Rules
from tests.evolution import reference

EPOCH = datetime(2026, 1, 1)
NUMBERS = st.one_of(
    st.integers(0, 4).map(float),  # ties
    st.sampled_from([np.inf, -np.inf, 0.1, 0.3]),
    st.floats(-1e6, 1e6),
)


def numbers(fold: Fold) -> list[int]:
    return [member.number for member in fold.population]


@st.composite
def studies(draw: st.DrawFn) -> tuple[Rules, list[Finished]]:
    objectives = draw(st.integers(1, 3))
    weights = draw(st.sampled_from([None, (0.7, 0.3, 0.2)[:objectives]]))
    rules = Rules(
        draw(st.integers(4, 8)), draw(st.integers(1, 5)), weights, startup=draw(st.integers(4, 9))
    )
    constrained = draw(st.booleans())
    losses = st.one_of(st.tuples(*[NUMBERS] * objectives), st.none())
    violations = st.sampled_from([0.0, 0.0, 1.0, 2.0]) if constrained else st.just(0.0)
    moments = st.integers(0, 60)
    rows = draw(st.lists(st.tuples(losses, violations, moments), max_size=60))
    trials = [
        Finished(EPOCH + timedelta(seconds=at), i, point, violation)
        for i, (point, violation, at) in enumerate(rows)
    ]
    return rules, trials


@given(studies(), st.data())
@settings(max_examples=600)
def test_populations_equal_those_of_a_plain_fold(
    study: tuple[Rules, list[Finished]], data: st.DataObject
) -> None:
    rules, trials = study
    fold = Fold(rules)
    if data.draw(st.booleans()):
        trials = sorted(trials)  # none is late
    start = 0
    while start < len(trials):
        end = start + data.draw(st.integers(1, 9))
        for trial in trials[start:end]:
            fold.add(trial)
        fold.run()
        assert numbers(fold) == reference.population(trials[:end], rules)
        start = end


@pytest.mark.parametrize("weights", [None, (0.7, 0.3)])
@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_populations_of_a_long_study_equal_those_of_a_plain_fold(
    objectives: int, weights: tuple[float, ...] | None, noise: float
) -> None:
    rng = np.random.default_rng(objectives)
    rules = Rules(20, 1, None if weights is None else (*weights, 0.2)[:objectives], startup=10)
    fold, trials = Fold(rules), []
    for i in range(1500):
        at = i / 1500
        drawn = rng.random(objectives).round(3) * (1 - at * noise) + noise * (1 - at)
        trials.append(Finished(EPOCH + timedelta(seconds=i), i, tuple(drawn.tolist())))
        fold.add(trials[-1])
    fold.run()
    assert fold.generation == 1491
    assert numbers(fold) == reference.population(trials, rules)


def test_losses_whose_span_overflows_are_sorted() -> None:
    fold = Fold(Rules(4, 1))
    worst = float(np.finfo(float).max)
    for i, point in enumerate([(-worst, worst), (worst, -worst), (0.0, 0.0), (1.0, -1.0)]):
        fold.add(Finished(EPOCH + timedelta(seconds=i), i, point))
    fold.run()
    assert sorted(numbers(fold)) == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("objectives", [2, 3])
def test_newcomers_that_equal_a_member_are_not_taken_as_dominated(
    seed: int, objectives: int
) -> None:
    rng = np.random.default_rng(seed)
    rules, drawn = Rules(6, 1), rng.integers(0, 5, (60, objectives)).astype(float)
    trials = [
        Finished(EPOCH + timedelta(seconds=i), i, tuple(point))
        for i, point in enumerate(drawn.tolist())
    ]
    fold = Fold(rules)
    for trial in trials:
        fold.add(trial)
        fold.run()
        assert numbers(fold) == reference.population(trials[: trial.number + 1], rules)
