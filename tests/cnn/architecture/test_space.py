"""CNNSpace: it inverts itself, every sampler serves, and foreign networks are refused."""

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate

import numpy as np
import optuna
import pytest

from optuna_de import DESampler
from optuna_de.cnn import (
    CNNSpace,
    count_macs,
    count_parameters,
    get_architecture,
    parse,
    repair,
    trace,
)
from optuna_de.cnn.architecture.genomes import Genome, render, side_after
from optuna_de.cnn.architecture.initial import early_reductions
from optuna_de.cnn.architecture.prices import MACS, PARAMETERS, Limit
from optuna_de.cnn.architecture.space import MODERN_UNITS
from optuna_de.cnn.architecture.units import (
    FC,
    GAP,
    AvgPool,
    Conv,
    Dilated,
    Grouped,
    Inverted,
    MaxPool,
    Mixer,
    NormConv,
    Patch,
    Unit,
)

AT_MOST = Limit(PARAMETERS, 5000)
OPTIONAL: tuple[type[Unit], ...] = (Inverted, Mixer, Grouped, Dilated, Patch)
SHAPES = [(3, 32, 32), (1, 8, 8), (1, 2, 2), (4, 17, 5), (2, 3, 64)]
SPACES: dict[str, Callable[[tuple[int, int, int]], CNNSpace]] = {
    "seed": CNNSpace.seed,
    "seed and head": lambda shape: CNNSpace.seed(shape, 7, evolve_head=True),
    "modern": lambda shape: CNNSpace(shape, 3),
    "every unit": lambda shape: CNNSpace(shape, 3, units=(*MODERN_UNITS, *OPTIONAL)),
}
SAMPLERS: dict[str, Callable[[CNNSpace], optuna.samplers.BaseSampler]] = {
    "TPE": lambda _: optuna.samplers.TPESampler(seed=0, n_startup_trials=3),
    "NSGA-II": lambda _: optuna.samplers.NSGAIISampler(seed=0, population_size=4),
    "random": lambda _: optuna.samplers.RandomSampler(seed=0),
    "DE": lambda s: DESampler(population_size=4, initial=s.initial, repair=s.repair, seed=0),
    "DE without help": lambda _: DESampler(population_size=4, seed=0),
}


@pytest.fixture(params=SPACES, name="make")
def fixture_make(request: pytest.FixtureRequest) -> Callable[[tuple[int, int, int]], CNNSpace]:
    return SPACES[request.param]


@pytest.mark.parametrize("shape", SHAPES)
def test_spelling_inverts_reading(
    make: Callable[[tuple[int, int, int]], CNNSpace], shape: tuple[int, int, int]
) -> None:
    space, rng = make(shape), np.random.default_rng(0)
    for _ in range(60):
        params = space.initial(rng)
        genome = space.decode(params)
        assert space.encode(genome) == params
        assert space.decode(space.encode(genome)) == genome
        assert repair(genome, shape) == genome
        assert params.keys() == space.distributions(params).keys()
        assert space.count_parameters(params) == count_parameters(genome, shape, space.classes)
        assert space.count_macs(params) == count_macs(genome, shape, space.classes)


def test_initial_draws_of_stored_studies_stay_as_they_were() -> None:
    space = CNNSpace(version=1)
    drawn = [space.initial(np.random.default_rng(seed)) for seed in range(3)]
    assert [render(CNNSpace().decode(params)) for params in drawn] == [
        "B33k3-S96k5-P80k5-D55k5-AP-AP-GAP",
        "B44k3-B29k3-R34k1-R33k3-GAP",
        "B20k3-AP-P37k1-AP-R72k3-D87k3-GAP",
    ]


@pytest.mark.parametrize(
    ("side", "stem", "last"), [(32, "", {4, 8}), (224, "", {7}), (128, "E8w4s2-", {4, 8})]
)
def test_first_networks_reduce_images_by_their_side(side: int, stem: str, last: set[int]) -> None:
    """Behind the stem to about 32x32, then in places that are spread over the body."""
    before = parse(f"{stem}B8k3")[:-1]
    space, rng = CNNSpace((3, side, side), stem=before), np.random.default_rng(0)
    networks = [space.decode(space.initial(rng))[len(before) :] for _ in range(60)]
    sides = [_sides(genome, side := space.body_shape[1]) for genome in networks]
    assert {row[-1] for row in sides} == last
    early = early_reductions(space.body_shape)
    assert {row[early] for row in sides} <= {side >> early, side >> early + 1}
    halved = [row.index(row[-1]) / len(row) for row in sides]  # the last reduction's place
    assert 0.5 < np.mean(halved) < 0.9
    macs = [
        np.mean([s.count_macs(s.initial(rng)) for _ in range(60)]) for s in (space, CNNSpace())
    ]
    assert 0.3 < macs[0] / macs[1] < 3


def _sides(genome: Genome, side: int) -> list[int]:
    """Return the side of a square image behind each unit."""
    return [*accumulate(genome, lambda side, unit: side_after(unit, side), initial=side)][1:]


def test_every_unit_of_a_space_is_drawn() -> None:
    space, rng = SPACES["every unit"]((3, 32, 32)), np.random.default_rng(0)
    kinds = {unit.kind for _ in range(100) for unit in space.decode(space.initial(rng))}
    every: tuple[type[Unit], ...] = (*MODERN_UNITS, *OPTIONAL, GAP)
    assert kinds == {unit.kind for unit in every}


@pytest.mark.parametrize("units", [(Inverted,), (NormConv, NormConv), (NormConv, FC), ()])
def test_units_that_make_no_space_are_refused(units: tuple[type[Unit], ...]) -> None:
    with pytest.raises(ValueError, match=r"make no space.*\.$"):
        CNNSpace(units=units)


def test_initial_draws_follow_the_generator() -> None:
    first, again, other = (CNNSpace().initial(np.random.default_rng(i)) for i in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("shape", [(3, 32, 32), (4, 17, 5)])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_serves(
    make: Callable[[tuple[int, int, int]], CNNSpace], sampler: str, shape: tuple[int, int, int]
) -> None:
    space = make(shape)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=SAMPLERS[sampler](space))

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        genome = space.suggest(trial)
        assert genome == space.decode(trial.params)
        assert space.decode(space.repair(trial.params)) == genome
        for layer in trace(genome, shape, space.classes):
            if layer.name.startswith(("MaxPool2d", "AvgPool2d")):
                assert min(layer.output_shape[1:]) >= 2
        return float(len(genome)), float(space.count_parameters(trial.params))

    study.optimize(objective, n_trials=8)
    assert all(t.state.name == "COMPLETE" for t in study.trials)


def test_pools_never_take_the_smaller_side_below_two() -> None:
    space = CNNSpace.seed((3, 9, 4))
    pooled = (Conv(8, 3), MaxPool(), AvgPool(), MaxPool())
    assert space.decode(space.encode(pooled)) == (Conv(8, 3), MaxPool())


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (CNNSpace.seed(), "C16k3-MP-FC64"),
        (CNNSpace.seed(), "C16k3-GAP"),
        (CNNSpace.seed(), "B16k3-MP"),
        (CNNSpace.seed(), "MP-C16k3"),
        (CNNSpace.seed(), "C300k3"),
        (CNNSpace.seed(), "C16k9"),
        (CNNSpace.seed(), "C16k2"),
        (CNNSpace.seed(), "-".join(["C16k3"] * 16)),
        (CNNSpace.seed(evolve_head=True), "C16k3"),
        (CNNSpace.seed(evolve_head=True), "C16k3-FC9"),
        (CNNSpace(), "B16k3-R16k3"),
        (CNNSpace(), "B7k3-R16k3-GAP"),
        (CNNSpace(), "B16k3-GAP"),
        (CNNSpace(), "C16k3-R16k3-GAP"),
        (CNNSpace(), "B16k3-I16k3-GAP"),
        (CNNSpace(units=(NormConv, Inverted)), "B16k3-I16k3e6-GAP"),
        (CNNSpace(units=(NormConv, Inverted)), "B16k3-I16k1-GAP"),
    ],
)
def test_foreign_networks_are_refused(space: CNNSpace, text: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        space.encode(parse(text))


def test_known_networks_are_spelt() -> None:
    for name, space in (("model1", CNNSpace.seed()), ("model2", CNNSpace.seed())):
        assert space.decode(space.encode(get_architecture(name))) == get_architecture(name)
    head = CNNSpace.seed(evolve_head=True)
    genome = (Conv(16, 3), FC(512), FC(64))
    assert head.decode(head.encode(genome)) == genome
    assert CNNSpace().decode(CNNSpace().encode(parse("B16k3-R16k5-GAP")))[-1] == GAP()


@pytest.mark.parametrize("shape", [(3, 1, 32), (0, 8, 8), (3, 32)])
def test_impossible_images_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be classified"):
        CNNSpace(shape)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"version must be 1 or 2, but is 3\.$"):
        CNNSpace(version=3)


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        CNNSpace(classes=1)


@pytest.mark.parametrize(
    ("limits", "fits"),
    [
        ((), True),
        ((Limit(MACS, 1),), False),
        ((Limit(PARAMETERS, 1),), False),
        ((Limit(PARAMETERS, 10**6), Limit(MACS, 10**7)), True),
        ((Limit(PARAMETERS, 10**6), Limit(MACS, 1)), False),
        ((Limit(replace(MACS, known=False), 1),), True),  # left to the objective
    ],
)
def test_limits_hold_for_whole_networks(limits: tuple[Limit, ...], fits: bool) -> None:
    space = CNNSpace(limits=limits)
    assert space.accept(space.encode(parse("B8k3-MP-GAP"))) is fits


def test_known_prices_alone_are_told_to_the_sampler() -> None:
    measured = replace(PARAMETERS, name="measured", known=False)
    space = CNNSpace(priced=(measured, MACS))
    params = space.initial(np.random.default_rng(0))
    assert {i: price(params) for i, price in space.prices.items()} == {2: space.count_macs(params)}
    with pytest.raises(ValueError, match="must differ, and none be the error"):
        CNNSpace(priced=(MACS, MACS))


def test_the_price_of_objective_1_is_the_number_of_parameters() -> None:
    for space in (CNNSpace(), CNNSpace.seed(evolve_head=True)):
        params = space.initial(np.random.default_rng(0))
        assert list(space.prices) == [1]
        assert space.prices[1](params) == space.count_parameters(params)


def test_a_kind_that_no_trial_had_is_left_to_the_objective() -> None:
    assert CNNSpace(limits=(Limit(MACS, 1),)).accept(
        {"layers.length": 1, "layers.0.kind": "norm_conv"}
    )


def test_a_stem_stands_before_every_body() -> None:
    stem = parse("SILU-WH2-E8")
    space = CNNSpace((3, 8, 8), 4, stem=stem, min_parameters=500, limits=(AT_MOST,))
    rng = np.random.default_rng(0)
    for _ in range(20):
        params = space.initial(rng)
        genome = space.decode(params)
        assert genome[:3] == stem
        assert space.encode(genome) == space.repair(params) == params
        assert space.count_parameters(params) == count_parameters(genome, (3, 8, 8), 4)
        assert genome == space.suggest(optuna.trial.FixedTrial(params))
    assert 300 < space.count_parameters(space.initial(rng)) < 20_000
    with pytest.raises(ValueError, match="does not begin with the stem SILU-WH2-E8"):
        space.encode(parse("B8k3-MP-GAP"))
    with pytest.raises(ValueError, match=r"The stem E4w4s4-E4w4s4 cannot stand before a body"):
        CNNSpace((3, 8, 8), 4, stem=parse("E4w4s4x2"))
