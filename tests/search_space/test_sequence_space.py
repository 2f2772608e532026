"""The spelling of genomes as parameters, its inverse, and any sampler on top."""

from dataclasses import dataclass
from typing import Any, ClassVar

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_de import DESampler, Kind, SequenceSpace
from optuna_de.evolution.genome import Choices, Gene, Genome, Interval
from optuna_de.search_space.distributions import hull
from optuna_de.search_space.encoding import Name, catalog, find_sequences, parse_name, read, write


@dataclass(frozen=True)
class Dense:
    kind: ClassVar[str] = "dense"
    width: int
    act: str


@dataclass(frozen=True)
class Drop:
    kind: ClassVar[str] = "drop"
    rate: float


@dataclass(frozen=True)
class Norm:
    kind: ClassVar[str] = "norm"


SPACE = SequenceSpace(
    kinds=(
        Kind(
            Dense,
            {
                "width": IntDistribution(1, 64, log=True),
                "act": CategoricalDistribution(("relu", "tanh")),
            },
        ),
        Kind(Drop, {"rate": FloatDistribution(0.0, 0.9)}),
        Kind(Norm),
    ),
    min_length=1,
    max_length=6,
    first=("dense",),
    name="net.layers",
)
dense = st.builds(Dense, st.integers(1, 64), st.sampled_from(["relu", "tanh"]))
units = st.one_of(
    dense,
    st.builds(Drop, st.floats(0, 0.9)),
    st.just(Norm()),
)
SEQUENCES = {"net.layers": frozenset(["dense", "drop", "norm"])}
genomes = st.builds(lambda first, rest: (first, *rest), dense, st.lists(units, max_size=5))


@given(genomes)
def test_decode_inverts_encode(genome: tuple[object, ...]) -> None:
    params = SPACE.encode(genome)  # type: ignore[arg-type]
    assert SPACE.decode(params) == genome
    assert SPACE.decode({**params, "lr": 0.1, "net.layers.5.dense.width": 3}) == genome or (
        len(genome) == 6
    )


@given(genomes)
def test_read_inverts_write(genome: tuple[object, ...]) -> None:
    params: dict[str, Any] = {"lr": 0.1, **SPACE.encode(genome)}  # type: ignore[arg-type]
    assert write(read(params, SEQUENCES)) == params
    assert read(params, SEQUENCES).flat == {"lr": 0.1}


def test_names_are_spelt_as_documented() -> None:
    assert SPACE.encode((Dense(3, "relu"), Norm())) == {
        "net.layers.length": 2,
        "net.layers.0.kind": "dense",
        "net.layers.0.dense.act": "relu",
        "net.layers.0.dense.width": 3,
        "net.layers.1.kind": "norm",
    }
    assert parse_name("net.layers.0.dense.width") == Name("net.layers", 0, "dense", "width")
    assert parse_name("layers.12.kind") == Name("layers", 12)
    assert parse_name("lr") is None


def test_units_beyond_the_length_are_not_part_of_a_genome() -> None:
    params: dict[str, Any] = {**SPACE.encode((Dense(3, "relu"),)), "net.layers.1.kind": "norm"}
    assert SPACE.decode(params) == (Dense(3, "relu"),)
    assert read(params, SEQUENCES) == read(SPACE.encode((Dense(3, "relu"),)), SEQUENCES)


def test_a_length_without_units_is_a_flat_parameter() -> None:
    assert read({"rope.length": 3}, {"rope": frozenset("a")}) == Genome({"rope.length": 3}, {})


def test_an_incomplete_genome_is_read_as_far_as_it_is_spelt() -> None:
    params: dict[str, Any] = {"layers.length": 3, "layers.0.kind": "a", "layers.0.a.w": 1}
    assert read(params, {"layers": frozenset("a")}).sequences == {
        "layers": (Gene("a", (("w", 1),)),)
    }
    with pytest.raises(ValueError, match="do not spell"):
        SPACE.decode({"net.layers.length": 2, "net.layers.0.kind": "norm"})


@pytest.mark.parametrize(
    "sampler",
    [
        optuna.samplers.RandomSampler(seed=0),
        optuna.samplers.TPESampler(seed=0, n_startup_trials=5),
        optuna.samplers.NSGAIISampler(seed=0, population_size=6),
        DESampler(seed=0, population_size=6),
    ],
    ids=lambda s: type(s).__name__,
)
def test_the_space_runs_under_any_sampler(sampler: optuna.samplers.BaseSampler) -> None:
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        genome = SPACE.suggest(trial)
        assert SPACE.decode(trial.params) == genome
        assert isinstance(genome[0], Dense)
        return float(len(genome)), -float(sum(u.kind == "norm" for u in genome))

    study.optimize(objective, n_trials=25)
    assert len({t.params["net.layers.length"] for t in study.trials}) > 1


def test_distributions_serve_create_trial() -> None:
    params = SPACE.encode((Dense(3, "relu"), Drop(0.5)))
    trial = optuna.create_trial(
        params=params, distributions=SPACE.distributions(params), values=[1.0]
    )
    assert SPACE.decode(trial.params) == (Dense(3, "relu"), Drop(0.5))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (IntDistribution(0, 5), IntDistribution(3, 9), IntDistribution(0, 9)),
        (FloatDistribution(0, 1), FloatDistribution(-1, 0.5), FloatDistribution(-1, 1)),
        (FloatDistribution(0, 1), IntDistribution(0, 1), IntDistribution(0, 1)),
        (None, IntDistribution(0, 1), IntDistribution(0, 1)),
    ],
)
def test_hull_holds_both_ranges(
    a: BaseDistribution | None, b: BaseDistribution, expected: BaseDistribution
) -> None:
    assert hull(a, b) == expected


def test_catalog_sorts_genes_and_merges_attributes_over_positions() -> None:
    distributions: dict[str, BaseDistribution] = {
        "lr": FloatDistribution(1e-3, 1.0, log=True),
        "s.length": IntDistribution(1, 4),
        "s.0.kind": CategoricalDistribution(("a",)),
        "s.1.kind": CategoricalDistribution(("a", "b")),
        "s.0.a.w": IntDistribution(1, 8),
        "s.1.a.w": IntDistribution(4, 16),
        "s.1.b.act": CategoricalDistribution(("x", "y")),
    }
    genes = catalog(distributions, find_sequences(distributions))
    assert genes.flat == {"lr": Interval(1e-3, 1.0, None, True)}
    alphabet = genes.sequences["s"]
    assert alphabet.lengths == Interval(1, 4, 1, False, True)
    assert [alphabet.allowed(i) for i in range(3)] == [("a",), ("a", "b"), ("a", "b")]
    assert alphabet.attributes == {
        "a": {"w": Interval(1, 16, 1, False, True)},
        "b": {"act": Choices(("x", "y"))},
    }


@pytest.mark.parametrize(
    ("genome", "sentence"),
    [
        ((Norm(),), "net.layers.0.kind is 'norm', which is not in the space's"),
        ((Dense(65, "relu"),), "net.layers.0.dense.width is 65, which is not in the space's"),
        ((Dense(1, "elu"),), "net.layers.0.dense.act is 'elu'"),
        ((Dense(1, "relu"),) * 7, "net.layers.length is 7"),
    ],
)
def test_foreign_genomes_are_refused_in_a_sentence(genome: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SPACE.encode(genome)


def test_wrong_spaces_are_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"Kind Drop has the fields \['rate'\]"):
        Kind(Drop, {"speed": FloatDistribution(0, 1)})
    with pytest.raises(ValueError, match="Lengths 0 to 3 are not possible"):
        SequenceSpace((Kind(Norm),), 0, 3)
    with pytest.raises(ValueError, match=r"First kinds \('conv',\) are not among"):
        SequenceSpace((Kind(Norm),), 1, 3, first=("conv",))
