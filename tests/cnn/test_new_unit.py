"""A kind of unit from outside: one class, one row of the table, and everything works on it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from optuna_de import DESampler
from optuna_de.cnn import CNNSpace, count_macs, count_parameters, parse, render, repair, trace
from optuna_de.cnn.architecture.layers import RELU, Primitives, normed
from optuna_de.cnn.architecture.space import MODERN_UNITS
from optuna_de.cnn.architecture.units import CHANNELS, UNITS, Unit
from optuna_de.cnn.drawing import draw_svg
from optuna_de.cnn.export.standalone import standalone_source
from optuna_de.cnn.modules import build
from optuna_de.search_space.distributions import Distributions

SHAPE = (3, 16, 16)
TEXT = "B8k3-W12-W12w5-GAP"
RANGES: Distributions = {"channels": CHANNELS}


@dataclass(frozen=True, slots=True)
class Strided(Unit):
    """Depthwise convolution of stride 2, then a pointwise one."""

    kind = "strided"
    letter = "W"
    distributions = RANGES
    channels: int
    window: int = 3

    def layers(self, inputs: int) -> Primitives:
        depthwise = normed(inputs, inputs, self.window, stride=2, groups=inputs)
        return *depthwise, *normed(inputs, self.channels, 1), RELU


@pytest.fixture(autouse=True)
def _row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UNITS, "W", Strided)


def test_its_text_is_read_and_written() -> None:
    assert parse(TEXT)[1:3] == (Strided(12), Strided(12, 5))
    assert render(parse(TEXT)) == TEXT
    with pytest.raises(ValueError, match=r"'W12k3', is not understood; units are .*W64"):
        parse("W12k3")


def test_it_is_dropped_where_the_side_would_fall_below_two() -> None:
    assert repair(parse("B8k3-W8-W8-W8"), (3, 8, 8)) == parse("B8k3-W8-W8")


def test_it_is_counted_as_torch_counts_it() -> None:
    with torch.device("meta"):
        model = build(parse(TEXT), SHAPE, 4).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            assert model(torch.empty(1, *SHAPE)).shape == (1, 4)
    assert sum(p.numel() for p in model.parameters()) == count_parameters(parse(TEXT), SHAPE, 4)
    assert counter.get_total_flops() == 2 * count_macs(parse(TEXT), SHAPE, 4)
    assert trace(parse(TEXT), SHAPE, 4)[7].output_shape == (12, 8, 8)


def test_it_is_drawn() -> None:
    assert ">W12w5</text>" in draw_svg(TEXT, SHAPE)


def test_it_is_exported_as_python() -> None:
    names: dict[str, Any] = {"__file__": "n.py", "__name__": "n"}
    exec(standalone_source(parse(TEXT), SHAPE, ("a", "b"), (0.5,) * 3, (0.5,) * 3), names)
    images = torch.randint(256, (2, *SHAPE), dtype=torch.uint8)
    network = names["Network"]().eval()
    ours = build(parse(TEXT), SHAPE, 2).eval()
    ours.load_state_dict(network.layers.state_dict())
    torch.testing.assert_close(network(images), ours((images / 255 - 0.5) / 0.5))


def test_a_space_of_it_is_searched() -> None:
    space = CNNSpace(SHAPE, 4, units=(*MODERN_UNITS, Strided))
    sampler = DESampler(population_size=6, initial=space.initial, repair=space.repair, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: float(len(render(space.suggest(trial)))), n_trials=24)
    kinds = {unit.kind for trial in study.trials for unit in space.decode(trial.params)}
    assert "strided" in kinds
    drawn = [space.decode(space.initial(np.random.default_rng(i))) for i in range(20)]
    assert any(isinstance(unit, Strided) for genome in drawn for unit in genome)
