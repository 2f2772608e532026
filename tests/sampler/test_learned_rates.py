"""Numbers, categories and units: rates of their own, learned from the children that survived."""

from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from optuna_de import DESampler
from optuna_de.evolution.rates import RECENT, Rates, memory
from optuna_de.evolution.variation import Variation
from optuna_de.sampler.history import History
from optuna_de.sampler.learned_rates import PREFIXES, draw_rates, with_rates
from optuna_de.sampler.plan import PLAN_KEY, Plan
from optuna_de.screening.screening import Screening

NUMBER = {"crossover", "mutation"}
CATEGORY = {"category_crossover", "category_mutation"}
UNIT = {"unit_crossover", "unit_mutation"}


def mixed(trial: optuna.Trial) -> float:
    same = sum(trial.suggest_categorical(f"c{i}", list("abcd")) == "a" for i in range(6))
    return 6 - same + abs(trial.suggest_float("x", 0, 1) - 0.5)


def layered(trial: optuna.Trial) -> float:
    n = trial.suggest_int("layers.length", 1, 6)
    kinds = [trial.suggest_categorical(f"layers.{i}.kind", ["conv", "pool"]) for i in range(n)]
    return abs(n - 4) + kinds.count("pool") + 0.1 * trial.suggest_float("x", 0, 1)


def run(objective: Any, n: int, **kwargs: Any) -> optuna.Study:
    study = optuna.create_study(study_name="s", sampler=DESampler(seed=0, **kwargs))
    study.optimize(objective, n_trials=n)
    return study


def history_of(study: optuna.Study) -> History:
    sampler = study.sampler
    assert isinstance(sampler, DESampler)
    return sampler._history(study)


def noted(study: optuna.Study) -> list[dict[str, float]]:
    """Return the control parameters of the children by differences."""
    plans = [Plan.load(t.system_attrs[PLAN_KEY]) for t in study.trials]
    return [dict(p.parameters) for p in plans if p.operator in ("difference", "edit")]


@pytest.mark.parametrize(("objective", "names"), [(mixed, CATEGORY), (layered, UNIT)])
def test_each_kind_of_genes_has_rates_that_differ_from_child_to_child(
    objective: Any, names: set[str]
) -> None:
    rates = noted(run(objective, 40))
    names = names | NUMBER
    assert all(parameters.keys() - {"scale"} == names for parameters in rates)
    assert all(len({parameters[name] for parameters in rates}) > 20 for name in names)


@pytest.mark.parametrize("options", [{"adaptive": False}, {"prices": {0: lambda params: 1.0}}])
def test_other_rules_learn_no_rates(options: dict[str, Any]) -> None:
    rates = noted(run(mixed, 16, **options))
    assert all(parameters.keys() == {"scale", "crossover"} for parameters in rates)


def test_a_screened_study_draws_no_rates_where_no_model_chooses_either() -> None:
    study = run(mixed, 12)
    history, settings = history_of(study), DESampler()._settings
    assert draw_rates(history, (0, 1), settings).keys() == CATEGORY | NUMBER
    assert draw_rates(history, (0, 1), replace(settings, screening=Screening())) == {}


def test_a_child_is_varied_by_the_rates_of_its_plan() -> None:
    names = [f"{kind}{rate}" for kind in PREFIXES.values() for rate in ("crossover", "mutation")]
    noted_rates = dict(zip(names, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), strict=True))
    plan = Plan(1, "difference", (0, 1, 2), (0, 3), parameters=noted_rates)
    varied = with_rates(Variation(0.7, 0.9, 1.0), plan)
    assert varied == Variation(0.7, 0.1, 0.2, Rates(0.3, 0.4), Rates(0.5, 0.6))
    assert with_rates(varied, replace(plan, parameters={"crossover": 0.9})) == varied


def test_a_study_of_numbers_has_rules_of_its_own() -> None:
    def gridded(trial: optuna.Trial) -> float:
        return float(trial.suggest_int("n", 0, 99) + trial.suggest_int("m", 0, 99))

    rates = noted(run(gridded, 40))
    assert rates
    assert all(parameters.keys() == {"scale", "crossover"} for parameters in rates)


def test_rates_of_0_stay_0() -> None:
    rates = noted(run(mixed, 20, mutation=0.0))
    assert {parameters["category_mutation"] for parameters in rates} == {0.0}


def test_the_memory_is_that_of_the_children_that_entered_the_population() -> None:
    """By a plain replay: one objective, so a child enters where it beats the 20th."""
    study = run(mixed, 90)
    best, survivors = list[tuple[float, int]](), list[Rates]()
    for trial in study.trials:
        assert trial.value is not None
        entry = (trial.value, trial.number)
        if len(best) == 20 and entry < best[-1]:
            own = Plan.load(trial.system_attrs[PLAN_KEY]).parameters
            survivors.append(Rates(own["category_crossover"], own["category_mutation"]))
        best = sorted([*best, entry])[:20]
    history = history_of(study)
    entered = history.fold.entered(RECENT)
    plans = [plan for number in entered if (plan := history.plan(number)) is not None]
    learned = [plan.parameters["category_crossover"] for plan in plans]
    assert learned == [rates.crossover for rates in survivors]
    assert memory(Rates(0.5, 0.5), survivors) != Rates(0.5, 0.5)


def test_a_late_trial_changes_who_entered() -> None:
    trials = run(mixed, 60).get_trials()
    late = create_trial(
        params=dict.fromkeys(trials[0].params, "a") | {"x": 0.5},
        distributions=trials[0].distributions,
        value=-1.0,
    )
    late.datetime_complete = trials[25].datetime_complete
    first, second = (
        optuna.create_study(study_name="s", sampler=DESampler(seed=0)) for _ in range(2)
    )
    first.add_trials(trials)
    before = history_of(first).fold.entered(RECENT)
    first.add_trial(late)
    second.add_trials([*trials, late])
    after = [history_of(study).fold.entered(RECENT) for study in (first, second)]
    assert after[0] == after[1] != before
    children = [study.ask(dict(trials[0].distributions)) for study in (first, second)]
    assert children[0].params == children[1].params


def test_a_retried_trial_keeps_its_genome_and_an_old_plan_todays_rates() -> None:
    study = run(mixed, 40)
    storage = InMemoryStorage()
    anew = optuna.create_study(storage=storage, study_name="s", sampler=DESampler(seed=1))
    anew.add_trials(study.trials[:-1])
    last = study.trials[-1]
    anew.add_trial(create_trial(state=TrialState.WAITING, system_attrs=dict(last.system_attrs)))
    assert anew.ask(dict(last.distributions)).params == last.params
    old = dict(last.system_attrs[PLAN_KEY]) | {"parameters": {}}
    anew.add_trial(create_trial(state=TrialState.WAITING, system_attrs={PLAN_KEY: old}))
    fixed = optuna.create_study(study_name="s", sampler=DESampler(seed=1, adaptive=False))
    fixed.add_trials(study.trials[:-1])
    fixed.add_trial(create_trial(state=TrialState.WAITING, system_attrs={PLAN_KEY: old}))
    children = [s.ask(dict(last.distributions)).params for s in (anew, fixed)]
    assert children[0] == children[1]


def test_resumed_equals_uninterrupted() -> None:
    storage = InMemoryStorage()
    for _ in range(4):
        study = optuna.create_study(
            storage=storage, study_name="s", sampler=DESampler(seed=0), load_if_exists=True
        )
        study.optimize(mixed, n_trials=15)
    assert [t.params for t in study.trials] == [t.params for t in run(mixed, 60).trials]
