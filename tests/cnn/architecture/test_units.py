"""Rows of the table of units."""

from dataclasses import MISSING, fields, replace

import pytest

from optuna_de.cnn.architecture.units import UNITS, Conv, MaxPool, NormConv, Unit


@pytest.mark.parametrize("unit", UNITS.values(), ids=lambda unit: unit.kind)
def test_a_row_of_the_table_is_whole(unit: type[Unit]) -> None:
    """Each layer of a sequence may suggest its kind and two attributes, no more."""
    names = [f.name for f in fields(unit)]  # type: ignore[arg-type]
    required = {f.name for f in fields(unit) if f.default is MISSING}  # type: ignore[arg-type]
    assert required <= set(unit.distributions) <= set(names)
    assert len(unit.distributions) <= 2
    assert set(unit.least) <= set(names)
    assert len({name[0] for name in names[1:]} | {"x"}) == len(names[1:]) + 1
    assert [other for other in UNITS.values() if other.kind == unit.kind] == [unit]


def test_units_are_values() -> None:
    unit = Conv(7, 3)
    with pytest.raises(AttributeError):
        unit.channels = 8  # type: ignore[misc]
    assert replace(unit, channels=8) == Conv(8, 3)
    assert len({Conv(7, 3), Conv(7, 3), NormConv(7, 3), MaxPool(), MaxPool()}) == 3
