"""Alignment of a child's units with its parent's."""

import pytest

from optuna_de.cnn.architecture.alignment import align
from optuna_de.cnn.architecture.genomes import parse


@pytest.mark.parametrize(
    ("child", "parent", "places"),
    [
        ("B8k3-MP-B16k3", "B8k3-MP-B16k3", (0, 1, 2)),
        ("B8k3-R8k3-MP", "B8k3-MP", (0, None, 1)),
        ("B8k3-MP", "B8k3-R8k3-MP", (0, 2)),
        ("B12k5-MP", "B8k3-MP", (0, 1)),
        ("B8k3-B64k3-MP", "B60k3-MP", (None, 0, 1)),
        ("R8k3-MP", "B8k3-MP", (None, 1)),
        ("C8k3", "MP", (None,)),
    ],
)
def test_units_of_a_kind_are_paired_in_order_the_likest_first(
    child: str, parent: str, places: tuple[int | None, ...]
) -> None:
    assert align(parse(child), parse(parent)) == places


def test_nothing_continues_an_empty_body() -> None:
    assert align(parse("B8k3-MP"), ()) == (None, None)
    assert align((), parse("B8k3")) == ()
