"""The fold over a study's history equals a plain replay, whatever the order of arrival."""

from datetime import datetime, timedelta

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_de.evolution import selection
from optuna_de.evolution.population import Rules
from optuna_de.sampler import offspring
from optuna_de.sampler.history import History
from optuna_de.search_space.distributions import Params

MIN = [StudyDirection.MINIMIZE] * 2
EPOCH = datetime(2026, 1, 1)


def trial(
    number: int,
    values: tuple[float, ...] | None,
    *,
    at: float | None = None,
    state: TrialState = TrialState.COMPLETE,
    violation: float = 0.0,
    x: float | None = None,
) -> FrozenTrial:
    done = state.is_finished()
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        values=list(values) if values is not None else None,
        datetime_start=EPOCH,
        datetime_complete=EPOCH + timedelta(seconds=number if at is None else at)
        if done
        else None,
        params={"x": float(number if x is None else x)},
        distributions={"x": FloatDistribution(-1e6, 1e6)},
        user_attrs={},
        system_attrs={"constraints:c": violation},
        intermediate_values={},
    )


def study_of(n: int, seed: int = 0) -> list[FrozenTrial]:
    rng = np.random.default_rng(seed)
    return [trial(i, tuple(rng.random(2)), at=float(rng.random())) for i in range(n)]


def replay(trials: list[FrozenTrial], rules: Rules) -> list[int]:
    """Fold the finished trials in order of completion, without a cache."""
    done = sorted(trials, key=lambda t: (t.datetime_complete, t.number))
    population: list[FrozenTrial] = []
    size = rules.population_size
    while len(done) >= size:
        block, done = done[:size], done[size:]
        merged = population + block
        ranking = selection.order([tuple(t.values) for t in merged], weights=rules.weights)
        population = [merged[i] for i in ranking[: rules.population_size]]
        size = rules.offspring
    return [t.number for t in population]


def numbers(history: History) -> list[int]:
    return [member.number for member in history.population]


@pytest.mark.parametrize("offspring", [1, 3, 10])
@pytest.mark.parametrize("weights", [None, (0.7, 0.3)])
def test_fold_equals_a_plain_replay_however_trials_arrive(
    offspring: int, weights: tuple[float, float] | None
) -> None:
    rules = Rules(8, offspring, weights)
    trials = study_of(60)
    history = History(rules, "s", MIN)
    rng = np.random.default_rng(1)
    finished: set[int] = set()
    while len(finished) < len(trials):  # trials finish late, in bunches, out of order
        waiting = [t.number for t in trials if t.number not in finished]
        finished |= set(rng.choice(waiting, min(len(waiting), 5), replace=False).tolist())
        seen = [
            t if t.number in finished else trial(t.number, None, state=TrialState.RUNNING)
            for t in trials[: max(finished) + 1]
        ]
        history.update(seen)
        assert numbers(history) == replay([t for t in seen if t.state.is_finished()], rules)
    assert history.generation == 1 + (60 - 8) // offspring


def test_completion_order_is_broken_by_trial_number() -> None:
    trials = [trial(i, (1.0, 1.0), at=0.0) for i in range(6)]
    history = History(Rules(4, 1), "s", MIN)
    history.update(trials[:2] + trials[3:])
    late = History(Rules(4, 1), "s", MIN)
    late.update(trials)
    assert numbers(late) == replay(trials, Rules(4, 1))


def test_failed_trials_do_not_count_and_pruned_ones_fill_blocks_only() -> None:
    trials = study_of(4)
    history = History(Rules(4, 1), "s", MIN)
    history.update([*trials[:3], trial(3, None, state=TrialState.FAIL)])
    assert history.generation == 0
    history.update([*trials[:3], trial(3, None, state=TrialState.FAIL), trial(4, (0, 0), at=9)])
    assert history.generation == 1
    pruned = trial(5, None, state=TrialState.PRUNED, at=10)
    history.update(
        [*trials[:3], trial(3, None, state=TrialState.FAIL), trial(4, (0, 0), at=9), pruned]
    )
    assert history.generation == 2
    assert 5 not in numbers(history)


def test_maximised_objectives_and_infinite_values() -> None:
    history = History(Rules(4, 1), "s", [StudyDirection.MAXIMIZE])
    values = [1.0, float("inf"), float("-inf"), 3.0, 2.0, 0.0]
    history.update([trial(i, (v,)) for i, v in enumerate(values)])
    assert numbers(history) == [1, 3, 4, 0]


def test_infeasible_trials_give_way() -> None:
    history = History(Rules(4, 1), "s", MIN)
    feasible = [trial(i, (5.0 + i, 5.0 - i)) for i in range(4)]
    history.update([trial(9, (0.0, 0.0), violation=1.0), *feasible])
    assert sorted(numbers(history)) == [0, 1, 2, 3]


def test_known_genomes_include_failed_running_and_pruned_trials() -> None:
    history = History(Rules(4, 1), "s", MIN)
    states = [TrialState.FAIL, TrialState.RUNNING, TrialState.PRUNED, TrialState.COMPLETE]
    history.update([trial(i, (1.0, 1.0), state=s) for i, s in enumerate(states)])
    known = [history.is_known(history.canonical({"x": float(i)})) for i in range(5)]
    assert known == [True] * 4 + [False]


def test_a_trial_that_failed_early_speaks_for_its_own_genome_only() -> None:
    history, whole = History(Rules(4, 1), "s", MIN), {"x": 1.0, "y": 2.0}
    empty = trial(0, None, state=TrialState.FAIL)
    empty.params, empty.distributions = {}, {}
    history.update([empty, trial(1, None, state=TrialState.FAIL, x=1.0)])
    assert not history.is_known(history.canonical(whole))
    assert history.is_known(history.canonical({"x": 1.0}))
    history.update([empty, empty, trial(2, (1.0, 1.0), x=1.0)])
    assert history.is_known(history.canonical(whole))


def test_known_is_judged_on_the_repaired_genome() -> None:
    def repair(params: Params) -> Params:
        return {"x": abs(float(params["x"]))}  # type: ignore[arg-type]

    history = History(Rules(4, 1, None, repair), "s", MIN)
    history.update([trial(0, (1.0, 1.0), x=-7.0)])
    assert history.is_known(history.canonical({"x": 7.0}))


def test_conditional_branches_are_compared_on_their_own_genes() -> None:
    history = History(Rules(4, 1), "s", MIN)
    history.update([trial(0, (1.0, 1.0), x=1.0)])
    assert history.is_known(history.canonical({"x": 1.0, "latent": 3}))
    assert not history.is_known(history.canonical({"y": 1.0}))


def test_a_study_that_was_replaced_is_read_anew() -> None:
    history = History(Rules(4, 1), "s", MIN)
    history.update(study_of(10))
    other = [trial(i, (float(i), -float(i))) for i in range(5)]
    for t in other:
        t._trial_id += 100
    history.update(other)
    assert numbers(history) == replay(other, Rules(4, 1))


def test_a_list_may_grow_while_it_is_read() -> None:
    """As that of a study in memory does, where other threads ask."""

    class Growing(list[FrozenTrial]):
        def __len__(self) -> int:
            size = super().__len__()
            if size < 12:
                self.append(trial(size, (float(size), 0.0)))
            return size

    history = History(Rules(4, 1), "s", MIN)
    trials = Growing(study_of(5))
    for _ in range(6):
        history.update(trials)
    assert [t.number for t in sorted(history.fold.finished, key=lambda t: t.number)] == [
        *range(12)
    ]


def test_weights_must_match_the_objectives() -> None:
    with pytest.raises(ValueError, match="2, but the study has 1 objectives"):
        History(Rules(4, 1, (0.7, 0.3)), "s", [StudyDirection.MINIMIZE])


def test_copies_of_a_study_have_the_same_population() -> None:
    source = optuna.create_study(directions=["minimize"] * 2, study_name="a")
    optuna.create_study(storage=source._storage, study_name="between").enqueue_trial({"x": 1})
    source.add_trials(study_of(30))
    other = optuna.storages.InMemoryStorage()
    other.create_new_study([StudyDirection.MINIMIZE])  # shifts the ids
    optuna.copy_study(
        from_study_name="a", from_storage=source._storage, to_storage=other, to_study_name="b"
    )
    copied = optuna.load_study(study_name="b", storage=other)
    histories = [History(Rules(8, 1), "s", MIN) for _ in range(2)]
    for history, study in zip(histories, (source, copied), strict=True):
        history.update(study.get_trials(deepcopy=False))
    assert numbers(histories[0]) == numbers(histories[1])


def test_trials_that_stopped_earlier_are_further_from_their_end() -> None:
    assert offspring._unfinished([None, 3, 9, None, 3]).tolist() == [0.0, 1.0, 0.5, 0.0, 1.0]
    assert offspring._unfinished([None, None]).tolist() == [0.0, 0.0]
