"""Diversity: the distance of two genomes, and windows of trials."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_de.evolution.genome import Gene, Genome
from optuna_de.search_space.encoding import catalog, find_sequences
from optuna_de.search_space.sequence_space import Kind, SequenceSpace
from optuna_de.visualization import diversity as _diversity
from optuna_de.visualization import plot_diversity
from optuna_de.visualization.diversity import Moment, distance
from tests.visualization import kit


@dataclass(frozen=True)
class Bare:
    kind: ClassVar[str] = "bare"


DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "x": FloatDistribution(0.0, 10.0),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "c": CategoricalDistribution(["a", "b"]),
    "layers.length": IntDistribution(1, 4),
    "layers.0.kind": CategoricalDistribution(["wide", "bare"]),
    "layers.0.wide.width": FloatDistribution(0.0, 8.0),
}
SPANS = catalog(DISTRIBUTIONS, find_sequences(DISTRIBUTIONS))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"x": 1.0}, {"x": 6.0}, 0.5),
        ({"rate": 1e-4}, {"rate": 1e-2}, 0.5),
        ({"c": "a"}, {"c": "b"}, 1.0),
        ({"x": 1.0, "c": "a"}, {"x": 1.0, "c": "b"}, 0.5),
        ({"x": 1.0}, {"c": "a"}, 1.0),
        ({}, {}, 0.0),
    ],
)
def test_distance_of_flat_genes(
    a: dict[str, float | str], b: dict[str, float | str], expected: float
) -> None:
    assert distance(Genome(a, {}), Genome(b, {}), SPANS) == pytest.approx(expected)
    assert distance(Genome(b, {}), Genome(a, {}), SPANS) == pytest.approx(expected)


def test_distance_of_sequences() -> None:
    wide, wider, bare = (
        Gene("wide", (("width", 2.0),)),
        Gene("wide", (("width", 4.0),)),
        Gene("bare"),
    )
    a, b = Genome({}, {"layers": (wide, bare)}), Genome({}, {"layers": (wider, wide, bare, bare)})
    assert distance(a, b, SPANS) == pytest.approx((0.25 + 1 + 1 + 1) / 4)
    assert distance(a, a, SPANS) == 0.0


def test_windows_of_trials() -> None:
    study = kit.study()
    for x in (0.0, 10.0, 10.0, 5.0):
        kit.add(
            study, 0.5, 1.0, params={"x": x}, distributions={"x": FloatDistribution(0.0, 10.0)}
        )
    info = _diversity.info(study, window=3)
    assert [m.completed for m in info.moments] == [1, 2, 3, 4]
    assert [m.distance for m in info.moments] == pytest.approx([0, 1, 2 / 3, 1 / 3])
    assert [m.distinct for m in info.moments] == pytest.approx([1, 1, 2 / 3, 2 / 3])


def test_lengths_are_shortest_mean_and_longest() -> None:
    study = kit.study()
    space = SequenceSpace((Kind(Bare),), 1, 4)
    for length in (1, 4, 4):
        params: dict[str, Any] = space.encode((Bare(),) * length)
        distributions = space.distributions(params)
        kit.add(study, 0.5, 1.0, params=params, distributions=distributions)
    assert _diversity.info(study).moments[-1] == Moment(3, 0.5, 2 / 3, (1, 3, 4))
    assert plot_diversity(study).layout.yaxis2.title.text == "Length"


def test_ranges_that_grew_within_a_study_are_one() -> None:
    study = kit.study()
    for x, high in ((1, 4), (5, 8)):
        kit.add(study, 0.5, 1.0, params={"x": x}, distributions={"x": IntDistribution(1, high)})
    assert math.isclose(_diversity.info(study).moments[-1].distance, 0.5)


def test_flat_studies_have_no_panel_of_lengths() -> None:
    assert "yaxis2" not in plot_diversity(kit.family()).layout


def test_a_window_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="window must be at least 2, but is 1"):
        plot_diversity(kit.study(), window=1)
