"""DESampler as an Optuna user meets it; Optuna's own conformance cases included."""

import logging
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import TrialState

from optuna_de import DESampler, _compat
from optuna_de.evolution.population import Rules
from optuna_de.halving import Halving
from optuna_de.sampler.history import History
from optuna_de.sampler.plan import PLAN_KEY, Plan
from optuna_de.screening.screening import Screening
from optuna_de.storage.open_storage import open_storage
from tests.drills import DRILL

TWO: list[Any] = ["minimize", "maximize"]


@pytest.fixture(params=["memory", "sqlite", pytest.param("journal", marks=DRILL)], scope="class")
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Let Optuna's cases, which create studies in memory, use a real store."""
    folder: Path = tmp_path_factory.mktemp("store")
    create = optuna.create_study

    def storage() -> optuna.storages.BaseStorage:
        if request.param == "memory":
            return InMemoryStorage()
        if request.param == "sqlite":
            return shared
        return JournalStorage(JournalFileBackend(str(folder / "journal.log")))

    shared = open_storage(f"sqlite:///{folder}/cases.db")

    def on_store(**kwargs: Any) -> optuna.Study:
        return create(**{"storage": storage(), **kwargs})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna, "create_study", on_store)
        patch.setattr(optuna.study, "create_study", on_store)
        yield


@pytest.mark.filterwarnings("ignore:Heartbeat of storage:UserWarning")
@pytest.mark.usefixtures("store")
class TestOptunaCases(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return DESampler

    @pytest.fixture(autouse=True)
    def one_value_on_sqlite(self, request: pytest.FixtureRequest) -> None:
        """Leave all but the first value of each case on SQLite to the drills."""
        spec = request.node.callspec
        others = any(at for name, at in spec.indices.items() if name != "store")
        if others and spec.params["store"] == "sqlite" and "DRILLS" not in os.environ:
            pytest.skip("a drill, runs with DRILLS=1")


def mixed(trial: optuna.Trial) -> tuple[float, float]:
    """A conditional, mixed space with a sequence in it."""
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    depth = trial.suggest_int("s.length", 1, 4)
    width = 0
    for i in range(depth):
        if trial.suggest_categorical(f"s.{i}.kind", ["conv", "pool"]) == "conv":
            width += trial.suggest_int(f"s.{i}.conv.c", 1, 64, log=True)
    if trial.suggest_categorical("opt", ["sgd", "adam"]) == "sgd":
        momentum = trial.suggest_float("momentum", 0.0, 0.9, step=0.1)
    else:
        momentum = trial.suggest_int("beta", 1, 9, step=2) / 10
    return abs(np.log10(lr) + 3) + momentum + depth / 10, float(width)


def run(n: int, sampler: DESampler, **kwargs: Any) -> optuna.Study:
    study = optuna.create_study(directions=TWO, sampler=sampler, **{"study_name": "s", **kwargs})
    study.optimize(mixed, n_trials=n)
    return study


def params(study: optuna.Study) -> list[dict[str, Any]]:
    return [t.params for t in study.trials]


def test_one_seed_one_study_and_other_seeds_others() -> None:
    first, again, other = (params(run(60, DESampler(seed=s))) for s in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("cut", [1, 20, *(pytest.param(cut, marks=DRILL) for cut in (19, 33))])
def test_a_resumed_study_equals_an_uninterrupted_one(cut: int, tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/s.db")
    run(cut, DESampler(seed=3), storage=storage)
    resumed = optuna.load_study(
        study_name="s",
        storage=open_storage(f"sqlite:///{tmp_path}/s.db"),
        sampler=DESampler(seed=3),
    )
    resumed.optimize(mixed, n_trials=40 - cut)
    assert params(resumed) == params(run(40, DESampler(seed=3)))


def test_studies_of_one_database_do_not_mix() -> None:
    storage = InMemoryStorage()
    sampler = DESampler(seed=3)
    studies = [
        optuna.create_study(directions=TWO, sampler=sampler, storage=storage, study_name=name)
        for name in ("s", "other")
    ]
    for _ in range(40):
        for study in studies:
            study.optimize(mixed, n_trials=1)
    assert params(studies[0]) == params(run(40, DESampler(seed=3)))
    assert params(studies[0]) != params(studies[1])


def _ask_one(url: str) -> dict[str, Any]:
    study = optuna.load_study(study_name="s", storage=url, sampler=DESampler(seed=0))
    trial = study.ask()
    mixed(trial)
    return trial.params


def test_workers_that_share_a_seed_draw_different_children(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    run(25, DESampler(seed=0), storage=url)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        drawn = pool.map(_ask_one, [url] * 8)
    assert len({str(p) for p in drawn}) == 8


def test_every_gene_is_inherited_after_the_initial_population(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger="optuna_de.sampler.sampler"):
        run(300, DESampler(seed=0))
    assert [r for r in caplog.records if "at random" in r.message] == []


def test_without_edits_no_gene_is_new_after_the_initial_population() -> None:
    study = run(200, DESampler(seed=0, mutation=0.0, scale=0.0, deduplicate=False))
    first = {(k, v) for t in study.trials[:10] for k, v in t.params.items()}
    later = {(k, v) for t in study.trials[10:] for k, v in t.params.items()}
    assert {k for k, _ in later - first} <= {"s.length"}


def test_no_child_repeats_a_trial_until_the_space_is_spent() -> None:
    study = optuna.create_study(directions=TWO, sampler=DESampler(seed=0, population_size=4))

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = [trial.suggest_int(f"x{i}", 0, 4) for i in range(3)]
        return float(sum(values)), float(values[0])

    study.optimize(objective, n_trials=100)
    assert len({tuple(t.params.values()) for t in study.trials}) == 100
    study.optimize(objective, n_trials=50)  # 125 points: repeats now, and does not hang
    assert len(study.trials) == 150


def test_running_trials_are_neither_waited_for_nor_repeated() -> None:
    study = optuna.create_study(directions=TWO, sampler=DESampler(seed=0, population_size=4))
    space: dict[str, Any] = {
        f"x{i}": optuna.distributions.CategoricalDistribution(tuple("abcd")) for i in range(3)
    }
    for i in range(6):
        study.tell(study.ask(space), (float(i), float(i)))
    asked = [tuple(study.ask(space).params.values()) for _ in range(30)]
    assert len(set(asked)) == 30


def test_plans_name_parents_that_were_in_the_population() -> None:
    study = run(50, DESampler(seed=0))
    plans = [Plan.load(t.system_attrs[PLAN_KEY]) for t in study.trials]
    assert [p.operator for p in plans[:10]] == ["initial"] * 10
    for trial, plan in zip(study.trials[10:], plans[10:], strict=True):
        assert plan.operator in ("difference", "edit")
        assert len(set(plan.parents)) == 4  # (best, r1, r2, base): two objectives
        assert all(n < trial.number for n in plan.parents)
        assert plan.generation == trial.number - 9


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_retried_trial_keeps_its_genome() -> None:
    study = run(30, DESampler(seed=0))
    asked = study.ask()
    asked.suggest_float("lr", 1e-5, 1e-1, log=True)  # dies in the middle of its suggestions
    dead = study.trials[-1]
    study.tell(asked, state=TrialState.FAIL)
    whole = run(30, DESampler(seed=0))
    twin = whole.ask()
    mixed(twin)
    optuna.storages.RetryHeartbeatStaleTrialCallback()(study, dead)
    study.sampler = DESampler(seed=99)  # another worker retries
    study.optimize(mixed, n_trials=1)
    assert study.trials[-1].params == twin.params


def test_enqueued_genes_are_kept_and_the_rest_is_completed_around_them() -> None:
    study = run(30, DESampler(seed=0))
    study.enqueue_trial({"s.length": 4, "s.3.kind": "conv", "opt": "sgd"})
    study.optimize(mixed, n_trials=1)
    done = study.trials[-1]
    assert (done.params["s.length"], done.params["s.3.kind"]) == (4, "conv")
    held = {v for t in study.trials[:-1] for k, v in t.params.items() if k.endswith("conv.c")}
    assert done.params["s.3.conv.c"] in held
    assert done.state == TrialState.COMPLETE


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_partial_fixed_sampler_fixes_a_kind() -> None:
    study = run(30, DESampler(seed=0))
    study.sampler = optuna.samplers.PartialFixedSampler({"s.0.kind": "conv"}, study.sampler)
    study.optimize(mixed, n_trials=10)
    assert {t.params["s.0.kind"] for t in study.trials[30:]} == {"conv"}


def test_added_and_foreign_trials_join_the_population() -> None:
    study = optuna.create_study(directions=TWO, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(mixed, n_trials=30)
    study.sampler = DESampler(seed=0)
    study.optimize(mixed, n_trials=1)
    assert Plan.load(study.trials[-1].system_attrs[PLAN_KEY]).operator != "initial"


def test_dynamic_integer_ranges_are_respected() -> None:
    study = optuna.create_study(sampler=DESampler(seed=0, population_size=5))

    def objective(trial: optuna.Trial) -> float:
        first = trial.suggest_int("first", 1, 100)
        second = trial.suggest_int("second", first, 200)
        assert first <= second
        return float(second - first)

    study.optimize(objective, n_trials=60)
    assert study.best_value <= 2


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_failing_trials_neither_stall_nor_distort(share: float) -> None:
    rng = np.random.default_rng(0)
    study = optuna.create_study(directions=TWO, sampler=DESampler(seed=0, population_size=5))

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = mixed(trial)
        if rng.random() < share:
            raise RuntimeError("out of luck")
        return values

    study.optimize(objective, n_trials=60, catch=(RuntimeError,))
    plans = [Plan.load(t.system_attrs[PLAN_KEY]) for t in study.trials]
    complete = sum(t.state == TrialState.COMPLETE for t in study.trials)
    assert max(p.generation for p in plans) == (max(0, complete - 3) if complete else 0) or (
        study.trials[-1].state == TrialState.COMPLETE
    )
    failed = {t.number for t in study.trials if t.state == TrialState.FAIL}
    assert not failed & {n for p in plans for n in p.parents}


def test_hyperband_runs_and_uses_complete_trials_only() -> None:
    study = optuna.create_study(
        sampler=DESampler(seed=0, population_size=5, adaptive=False),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9),
    )

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -5, 5)
        for step in range(9):
            trial.report(x * x + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x * x

    study.optimize(objective, n_trials=80)
    pruned = {t.number for t in study.trials if t.state == TrialState.PRUNED}
    plans = [Plan.load(t.system_attrs[PLAN_KEY]) for t in study.trials]
    assert pruned
    assert any(p.parents for p in plans)
    assert not pruned & {n for p in plans for n in p.parents}


def test_a_seed_may_be_numpys(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/a.db")
    study = optuna.create_study(storage=storage, sampler=DESampler(seed=np.int64(3)))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert len(study.trials) == 1


CHOICES: Any = [[32], [64, 32], [8]]


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")
def test_choices_may_be_lists() -> None:
    def objective(trial: optuna.Trial) -> float:
        layers: Any = trial.suggest_categorical("layers", CHOICES)
        return float(sum(layers)) + trial.suggest_float("x", 0, 1)

    study = optuna.create_study(sampler=DESampler(population_size=4, seed=0))
    study.optimize(objective, n_trials=30)
    assert study.best_params["layers"] == [8]


def test_trials_that_failed_before_they_suggested_anything_bar_nothing() -> None:
    def objective(trial: optuna.Trial) -> float:
        return sum(trial.suggest_float(f"x{i}", -5, 5) ** 2 for i in range(3))

    study = optuna.create_study(sampler=DESampler(seed=0, adaptive=False))
    study.tell(study.ask(), state=TrialState.FAIL)
    study.optimize(objective, n_trials=60)
    operators = [t.system_attrs[PLAN_KEY]["operator"] for t in study.trials[30:]]
    assert operators.count("difference") == len(operators)


def test_reseeding_changes_a_sampler_without_a_seed_alone() -> None:
    for seed, expected in ((None, 2), (0, 1)):
        sampler, draws = DESampler(seed=seed), set()
        for _ in range(2):
            study = optuna.create_study(study_name="s", sampler=sampler)
            draws.add(study.ask().suggest_float("x", 0, 1))
            sampler.reseed_rng()
        assert len(draws) == expected


def test_a_seed_repeats_a_study_that_nobody_named() -> None:
    runs = []
    for _ in range(2):
        study = optuna.create_study(sampler=DESampler(seed=0))
        study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=25)
        runs.append([t.params for t in study.trials])
    assert runs[0] == runs[1]


def test_many_objectives_constraints_and_infinite_values() -> None:
    study = optuna.create_study(
        directions=["minimize"] * 5, sampler=DESampler(seed=0), study_name="five"
    )

    def objective(trial: optuna.Trial) -> list[float]:
        x = [trial.suggest_float(f"x{i}", -1, 1) for i in range(5)]
        trial.set_constraint("sum", sum(x))
        return [float("inf") if v > 0.9 else v * v for v in x]

    study.optimize(objective, n_trials=120)
    last = [sum(t.params.values()) <= 0 for t in study.trials[-40:]]
    assert np.mean(last) > 0.6


def test_threads_share_a_sampler() -> None:
    study = optuna.create_study(directions=TWO, sampler=DESampler(seed=0))
    study.optimize(mixed, n_trials=60, n_jobs=4)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


def test_an_older_view_of_the_study_does_not_turn_back_the_clock() -> None:
    study = run(40, DESampler(seed=0))
    trials = study.get_trials(deepcopy=False)
    history = History(Rules(20, 1), "s", study.directions)
    history.update(trials)
    before = history.population
    history.update(trials[:25])
    assert history.population is before


def test_a_pickled_sampler_goes_on_alike() -> None:
    study = run(30, DESampler(seed=5))
    study.sampler = pickle.loads(pickle.dumps(study.sampler))
    study.optimize(mixed, n_trials=10)
    assert params(study) == params(run(40, DESampler(seed=5)))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"population_size": 3}, "population_size must be at least 4, but is 3"),
        ({"population_size": -20}, "population_size must be at least 4, but is -20"),
        ({"n_startup_trials": 3}, "n_startup_trials must be at least 4, but is 3"),
        ({"offspring": 0}, "offspring must be at least 1, but is 0"),
        ({"n_best": 0}, "n_best must be at least 1, but is 0"),
        ({"scale": -0.1}, "scale must be at least 0, but is -0.1"),
        ({"crossover": 1.1}, r"crossover must be in \[0, 1\], but is 1.1"),
        ({"mutation": float("nan")}, "mutation must be at least 0, but is nan"),
        ({"weights": (0.0, 0.0)}, r"weights must be .* sum above 0, but is \(0.0, 0.0\)"),
        ({"weights": (-1.0, 2.0)}, "weights must be .* sum above 0"),
        ({"weights": ()}, "weights must be .* sum above 0"),
        ({"deduplicate": "maybe"}, r"deduplicate must be one of \(True, False, 'generation'\)"),
        ({"seed": -1}, "seed must be None or at least 0, but is -1"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DESampler(**arguments)


def test_weights_for_another_number_of_objectives_are_refused() -> None:
    study = optuna.create_study(sampler=DESampler(weights=(0.7, 0.3)))
    with pytest.raises(ValueError, match="but the study has 1 objectives"):
        study.ask().suggest_float("x", 0, 1)


class CountingStorage(InMemoryStorage):
    """Counts reads of all trials of a study."""

    full_reads = 0

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> Any:
        self.full_reads += states is None
        return super().get_all_trials(study_id, deepcopy=deepcopy, states=states)


def test_a_trial_costs_one_full_read_of_the_study_at_most() -> None:
    storage = CountingStorage()
    study = optuna.create_study(directions=TWO, sampler=DESampler(seed=0), storage=storage)
    for n in range(40):
        before = storage.full_reads
        trial = study.ask()
        values = mixed(trial)
        assert storage.full_reads - before <= 1, n
        study.tell(trial, values)


def test_late_trials_of_many_workers_all_enter_the_selection() -> None:
    """F23: trials that finish long after they were asked count like all others."""
    rng = np.random.default_rng(0)
    sampler = DESampler(seed=0, population_size=5, n_startup_trials=5)
    study = optuna.create_study(directions=TWO, sampler=sampler)
    running: list[optuna.Trial] = []
    for _ in range(200):
        while len(running) < 32:
            running.append(study.ask())
            running[-1].suggest_float("x", 0, 1)
        done = running.pop(int(rng.integers(len(running))))
        study.tell(done, (done.params["x"], 1.0))
    finished = sum(t.state == TrialState.COMPLETE for t in study.trials)
    last = study.ask()
    last.suggest_float("x", 0, 1)
    plan = Plan.load(study.trials[-1].system_attrs[PLAN_KEY])
    assert plan.generation == 1 + (finished - 5)  # steady state: one block per finished trial


def price(params: Mapping[str, Any]) -> float:
    """The second objective of ``mixed``."""
    return float(sum(v for k, v in params.items() if k.endswith("conv.c")))


def screened(seed: int = 0, **options: Any) -> DESampler:
    return DESampler(seed=seed, screening=Screening(pool=20), prices={1: price}, **options)


def plans(study: optuna.Study) -> list[Plan]:
    return [Plan.load(t.system_attrs[PLAN_KEY]) for t in study.trials]


def test_screened_children_are_marked_and_reach_better_values() -> None:
    study, plain = run(60, screened()), run(60, DESampler(seed=0))
    assert [p.screened for p in plans(study)] == [False] * 10 + [True] * 50
    assert {p.screened for p in plans(plain)} == {False}

    def volume(study: optuna.Study) -> float:
        losses = np.array([[t.values[0], -t.values[1]] for t in study.trials])
        inside = losses[(losses < np.array([5.0, 0.0])).all(axis=1)]
        return _compat.hypervolume(inside[_compat.is_on_front(inside)], np.array([5.0, 0.0]))

    assert volume(study) > volume(plain)


def test_a_screened_study_repeats_and_resumes_alike(tmp_path: Path) -> None:
    whole = params(run(45, screened()))
    url = f"sqlite:///{tmp_path}/s.db"
    run(30, screened(), storage=open_storage(url))
    resumed = optuna.load_study(study_name="s", storage=open_storage(url), sampler=screened())
    resumed.optimize(mixed, n_trials=15)
    assert params(resumed) == whole


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_retried_screened_trial_keeps_its_genome_without_a_model() -> None:
    study, whole = run(30, screened()), run(30, screened())
    asked = study.ask()
    asked.suggest_float("lr", 1e-5, 1e-1, log=True)
    dead = study.trials[-1]
    study.tell(asked, state=TrialState.FAIL)
    twin = whole.ask()
    mixed(twin)
    optuna.storages.RetryHeartbeatStaleTrialCallback()(study, dead)
    study.sampler = DESampler(seed=99)
    study.optimize(mixed, n_trials=1)
    assert study.trials[-1].params == twin.params


def test_screened_workers_see_a_plan_before_its_parameters() -> None:
    """Trials that are asked, but have suggested nothing, bar their planned genomes."""
    study = optuna.create_study(directions=TWO, sampler=screened(), study_name="s")
    study.optimize(mixed, n_trials=30)
    waiting = [study.ask() for _ in range(6)]
    for trial in waiting:
        mixed(trial)
    assert len({str(trial.params) for trial in waiting}) == 6


def test_a_child_that_another_worker_planned_meanwhile_is_planned_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study, twin = run(30, screened()), run(30, screened())
    mixed(ahead := twin.ask())
    plan = twin.trials[-1].system_attrs[PLAN_KEY]
    write = _compat.set_system_attr
    others: list[int] = []

    def after_another(study: Any, trial: Any, key: str, value: Any) -> None:
        if not others:
            others.append(study._storage.create_new_trial(study._study_id))
            study._storage.set_trial_system_attr(others[0], PLAN_KEY, plan)
        write(study, trial, key, value)

    monkeypatch.setattr(_compat, "set_system_attr", after_another)
    mixed(trial := study.ask())
    assert others
    assert trial.params != ahead.params
    stored = study.trials[30].system_attrs[PLAN_KEY]
    assert stored["screened"] is True
    assert stored["key"] != plan["key"]


def test_prices_must_be_of_an_objective_of_the_study() -> None:
    study = optuna.create_study(directions=TWO, sampler=DESampler(prices={2: price}))
    with pytest.raises(ValueError, match="prices has the objective 2, but the study has 2"):
        study.ask().suggest_float("x", 0, 1)


@pytest.mark.parametrize("objectives", [1, 3])
def test_any_number_of_objectives_is_screened(objectives: int) -> None:
    study = optuna.create_study(
        directions=["minimize"] * objectives,
        sampler=DESampler(seed=0, screening=Screening(pool=20)),
    )

    def objective(trial: optuna.Trial) -> list[float]:
        x = [trial.suggest_float(f"x{i}", -1, 1) for i in range(3)]
        return [abs(v) + 0.1 * sum(map(abs, x)) for v in x[:objectives]]

    study.optimize(objective, n_trials=40)
    assert True in {p.screened for p in plans(study)}


@pytest.mark.parametrize(("stopped", "says"), [(True, True), (False, "too few finished trials")])
def test_stopped_trials_teach_the_model(stopped: bool, says: bool | str) -> None:
    options = Screening(pool=10, stopped=stopped)
    study = optuna.create_study(
        directions=TWO, sampler=DESampler(seed=0, n_startup_trials=10, screening=options)
    )
    halving = Halving(rungs=(1,), full_share=0.0)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = mixed(trial)
        trial.set_user_attr(
            "optuna_de:v1:rung:1",
            {"trial": trial.number, "values": values, "stop": trial.number > 3},
        )
        if halving.should_stop(trial, 1, values):
            raise optuna.TrialPruned
        return values

    study.optimize(objective, n_trials=12)
    assert [t.state for t in study.trials[4:]] == [TrialState.PRUNED] * 8
    assert plans(study)[-1].screened == says


def test_screening_of_infeasible_trials_and_of_a_weighted_sum() -> None:
    sampler = DESampler(seed=0, weights=(0.7, 0.3), screening=Screening(pool=10))
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = (trial.suggest_float(name, -1, 1) for name in "xy")
        trial.set_constraint("never", 1.0)
        return x * x + y, y * y

    study.optimize(objective, n_trials=15)
    assert plans(study)[-1].screened is True


def test_the_error_of_a_price_is_not_hidden() -> None:
    def broken(params: object) -> float:
        raise ValueError("no such price")

    sampler = DESampler(prices={1: broken}, screening=Screening(pool=4), seed=0)
    study = optuna.create_study(directions=TWO, sampler=sampler, study_name="s")
    with pytest.raises(ValueError, match="no such price"):
        study.optimize(lambda t: (t.suggest_float("x", 0, 1), 1.0), n_trials=20)


@pytest.mark.parametrize("state", [TrialState.WAITING, TrialState.RUNNING])
def test_a_plan_that_cannot_be_read_stops_no_worker(state: TrialState) -> None:
    study = run(30, screened())
    torn = optuna.trial.create_trial(state=state, system_attrs={PLAN_KEY: {"parents": 3}})
    study.add_trial(torn)
    study.optimize(mixed, n_trials=2)
    done = [t for t in study.trials[30:] if t.state == TrialState.COMPLETE]
    assert [Plan.load(t.system_attrs[PLAN_KEY]).screened for t in done] == [True] * 2
