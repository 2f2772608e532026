"""Gene statistics: shares of kinds and medians by position and period."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import optuna
import pytest
from optuna.distributions import IntDistribution

from optuna_de.sampler.plan import Plan
from optuna_de.search_space.sequence_space import Kind, SequenceSpace
from optuna_de.visualization import gene_statistics as _genes
from optuna_de.visualization import plot_gene_statistics
from optuna_de.visualization.gene_statistics import Info, Row
from optuna_de.visualization.trials.finished_trials import Entry
from optuna_de.visualization.trials.generation_periods import Period, periods
from tests.visualization import kit


@dataclass(frozen=True)
class Wide:
    kind: ClassVar[str] = "wide"
    width: int


@dataclass(frozen=True)
class Bare:
    kind: ClassVar[str] = "bare"


SPACE = SequenceSpace((Kind(Wide, {"width": IntDistribution(1, 99)}), Kind(Bare)), 1, 3)


def add(study: optuna.Study, generation: int | None, *genome: Any) -> None:
    params = SPACE.encode(genome)
    plan = None if generation is None else (generation, "difference", ())
    more: dict[str, Any] = {"params": params, "distributions": SPACE.distributions(params)}
    kit.add(study, 0.5, 1.0, plan=plan, **more)


def bred() -> optuna.Study:
    study = kit.study()
    add(study, 0, Wide(4), Bare())
    add(study, 0, Wide(8))
    add(study, 0, Bare(), Wide(2), Wide(1))
    add(study, 1, Bare())
    return study


def test_info_by_position_and_generation() -> None:
    info = _genes.info(bred())
    first, second = info.rows
    assert (info.sequence, info.kinds, info.attributes) == ("layers", ("wide", "bare"), ("width",))
    assert first == Row(
        Period(0, 0, (0, 1, 2)),
        ((2 / 3, 1 / 3, 1 / 3), (1 / 3, 1 / 3, 0.0)),
        ((6.0, 2.0, 1.0),),
    )
    assert second.shares == ((0.0,), (1.0,))
    assert math.isnan(second.medians[0][0])


def test_the_figure_has_a_panel_per_period_and_attribute() -> None:
    figure = plot_gene_statistics(bred())
    titles = [a.text for a in figure.layout.annotations]
    assert titles == ["generation 0 (3)", "generation 1 (1)", "median of width"]
    assert [t.type for t in figure.data] == ["bar"] * 4 + ["scatter"] * 2


def test_unplanned_trials_are_a_period_of_their_own() -> None:
    study = bred()
    add(study, None, Wide(1))
    assert _genes.info(study).rows[0].period == Period(None, None, (4,))


def test_flat_studies_say_so_and_unknown_sequences_are_refused() -> None:
    assert _genes.info(kit.family()) == Info("", excuse="No trial of this study has a sequence.")
    with pytest.raises(ValueError, match="Sequence 'head' is not among"):
        plot_gene_statistics(bred(), sequence="head")
    with pytest.raises(ValueError, match="limit must be at least 1, but is 0"):
        plot_gene_statistics(bred(), limit=0)


def entries(counts: dict[int, int]) -> list[Entry]:
    born = [g for g, n in counts.items() for _ in range(n)]
    return [Entry(i, (1.0,), plan=Plan(g, "difference", (), ())) for i, g in enumerate(born)]


@pytest.mark.parametrize(
    ("counts", "limit", "bounds"),
    [
        ({0: 5, 1: 5}, 5, [(0, 0), (1, 1)]),
        ({0: 20, **dict.fromkeys(range(1, 41), 1)}, 3, [(0, 0), (1, 20), (21, 40)]),
        (dict.fromkeys(range(10), 2), 4, [(0, 2), (3, 4), (5, 7), (8, 9)]),
        (dict.fromkeys(range(7), 3), 1, [(0, 6)]),
    ],
)
def test_periods_hold_about_as_many_trials(
    counts: dict[int, int], limit: int, bounds: list[tuple[int, int]]
) -> None:
    spans = periods(entries(counts), limit)
    assert [(p.first, p.last) for p in spans] == bounds
    assert sorted(n for p in spans for n in p.numbers) == list(range(sum(counts.values())))
