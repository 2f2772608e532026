"""Sequences are recognised by their distributions; parameters that look alike are flat genes."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from optuna_de import DESampler
from optuna_de.evolution.genome import Choices
from optuna_de.search_space.encoding import catalog, find_sequences, parse_name, read
from optuna_de.visualization import plot_diversity, plot_gene_statistics

Objective = Callable[[optuna.Trial], float]


def with_kinds(choices: list[Any]) -> Objective:
    def objective(trial: optuna.Trial) -> float:
        length = trial.suggest_int("conv.length", 1, 3)
        kind = trial.suggest_categorical("conv.0.kind", choices)
        assert any(type(kind) is type(choice) and kind == choice for choice in choices)
        return length + trial.suggest_float("x", 0, 1)

    return objective


def with_length(suggest: Callable[[optuna.Trial], Any]) -> Objective:
    def objective(trial: optuna.Trial) -> float:
        suggest(trial)
        kind = trial.suggest_categorical("X.0.kind", ["p", "q"])
        return trial.suggest_float(f"X.0.{kind}.w", 0, 1)

    return objective


def hydra(trial: optuna.Trial) -> float:
    trial.suggest_int("model.encoder.length", 1, 5)
    trial.suggest_categorical("model.encoder.0.kind", [1, 2])
    trial.suggest_categorical("model.encoder.1.kind", ["a", "b"])
    trial.suggest_float("model.encoder.0.optimizer.lr", 1e-5, 1, log=True)
    return trial.suggest_float("optimizer.lr", 1e-5, 1, log=True)


def late(trial: optuna.Trial) -> float:
    trial.suggest_int("s.length", 1, 3)
    trial.suggest_categorical("s.0.kind", ["a", "b"])
    if trial.number >= 15:  # from now on, it is no sequence
        trial.suggest_categorical("s.2.kind", [1, 2])
    return trial.suggest_float("x", 0, 1)


def odd_positions(trial: optuna.Trial) -> float:
    for i in range(trial.suggest_int("s.length", 0, 3)):
        trial.suggest_categorical(f"s.{i}.kind", ["a", "b"])
    trial.suggest_int("s.00.kind", 0, 3)
    trial.suggest_int(f"s.{'9' * 5000}.kind", 0, 3)
    return trial.suggest_float("s.0.optimizer.lr", 0, 1)


KINDS: list[list[Any]] = [[3, 5, 7], [1.5, 2.5], [True, False], [3.0, "a"], [None, "a"]]
OBJECTIVES: dict[str, Objective] = {
    **{f"kinds {choices}": with_kinds(choices) for choices in KINDS},
    "length of texts": with_length(lambda t: t.suggest_categorical("X.length", ["a", "b"])),
    "length of choices": with_length(lambda t: t.suggest_categorical("X.length", [1, 2, 3])),
    "length a float": with_length(lambda t: t.suggest_float("X.length", 0, 3)),
    "hydra": hydra,
    "late": late,
    "odd positions": odd_positions,
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_names_that_look_like_a_sequence_run_as_flat_genes(name: str) -> None:
    study = optuna.create_study(sampler=DESampler(seed=0, population_size=6))
    study.optimize(OBJECTIVES[name], n_trials=30)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    plot_diversity(study)
    if name != "odd positions":
        title = plot_gene_statistics(study).layout.annotations[0].text
        assert "No trial of this study has a sequence" in title


def test_a_kind_of_texts_and_an_integer_length_make_a_sequence() -> None:
    distributions: dict[str, BaseDistribution] = {
        "s.length": IntDistribution(1, 3),
        "s.0.kind": CategoricalDistribution(["a"]),
        "s.1.kind": CategoricalDistribution(["a", "b"]),
        "s.0.a.w": IntDistribution(1, 3),
        "s.0.optimizer.lr": IntDistribution(1, 3),
    }
    sequences = find_sequences(distributions)
    assert sequences == {"s": frozenset("ab")}
    genome = read({"s.length": 1, "s.0.kind": "a", "s.0.a.w": 2, "s.0.optimizer.lr": 3}, sequences)
    assert genome.flat == {"s.0.optimizer.lr": 3}
    assert set(catalog(distributions, sequences).flat) == {"s.0.optimizer.lr"}
    ints: dict[str, BaseDistribution] = {"s.2.kind": CategoricalDistribution([1, "a"])}
    assert find_sequences({**distributions, **ints}) == {}
    assert catalog({**distributions, **ints}, {}).flat["s.2.kind"] == Choices((1, "a"))


@pytest.mark.parametrize("name", ["s.00.kind", "s.٣.kind", f"s.{'9' * 5000}.kind", "s.-1.kind"])
def test_positions_are_plain_numbers(name: str) -> None:
    assert parse_name(name) is None
