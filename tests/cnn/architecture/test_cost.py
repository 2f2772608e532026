import json
import os
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import pytest

from optuna_de.cnn.architecture.cost import Layer, count_macs, count_parameters, trace
from optuna_de.cnn.architecture.genomes import parse, render
from optuna_de.cnn.architecture.units import FC, Conv, Unit
from optuna_de.cnn.architecture.zoo import MODEL_1, MODEL_2
from tests.cnn.architecture.kit import random_genome

# Figure 10 of the seed report: type, output shape, parameters.
FIGURE_10 = [
    ("Conv2d-1", (7, 32, 32), 196),
    ("ReLU-2", (7, 32, 32), 0),
    ("Conv2d-3", (195, 32, 32), 34_320),
    ("ReLU-4", (195, 32, 32), 0),
    ("MaxPool2d-5", (195, 16, 16), 0),
    ("MaxPool2d-6", (195, 8, 8), 0),
    ("Conv2d-7", (219, 8, 8), 1_067_844),
    ("ReLU-8", (219, 8, 8), 0),
    ("Conv2d-9", (188, 8, 8), 1_029_488),
    ("ReLU-10", (188, 8, 8), 0),
    ("AvgPool2d-11", (188, 4, 4), 0),
    ("Flatten-12", (3008,), 0),
    ("Dropout-13", (3008,), 0),
    ("Linear-14", (1504,), 4_525_536),
    ("ReLU-15", (1504,), 0),
    ("Dropout-16", (1504,), 0),
    ("Linear-17", (752,), 1_131_760),
    ("ReLU-18", (752,), 0),
    ("Linear-19", (10,), 7_530),
]


def seed_individuals() -> list[dict[str, Any]]:
    beside = Path(__file__).parents[4] / "shared" / "data"
    path = Path(os.environ.get("OPTUNA_DE_SEED_DATA", beside)) / "seed_populations.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is neither in OPTUNA_DE_SEED_DATA nor in ../shared/data")
    individuals: list[dict[str, Any]] = json.loads(path.read_text())["individuals"]
    return individuals


def test_the_published_individuals_have_their_published_parameters() -> None:
    individuals = seed_individuals()
    counted = [count_parameters(parse(one["architecture"])) for one in individuals]
    assert len(counted) == 180
    assert counted == [one["parameters"] for one in individuals]
    assert [render(parse(one["architecture"])) for one in individuals] == [
        one["architecture"] for one in individuals
    ]


def test_the_table_of_model_2_is_the_report_s() -> None:
    table = trace(parse(MODEL_2))
    assert [(row.name, row.output_shape, row.parameters) for row in table] == FIGURE_10


def test_model_1_and_model_2_have_their_published_sizes() -> None:
    assert count_parameters(parse(MODEL_1)) == 16_477_306
    assert count_parameters(parse(MODEL_2)) == 7_796_674


def test_counts_are_sums_of_the_table() -> None:
    rng = Random(0)
    for _ in range(50):
        genome = random_genome(rng, (3, 33, 47))
        table = trace(genome, (3, 33, 47), 4)
        assert count_parameters(genome, (3, 33, 47), 4) == sum(row.parameters for row in table)
        assert count_macs(genome, (3, 33, 47), 4) == sum(row.macs for row in table)


def test_huge_networks_are_counted_exactly() -> None:
    features = 256 * 32 * 32
    a, b = features // 2, features // 4
    convolutions = 3 * 12 * 9 + 12 + 12 * 256 * 49 + 256
    total = convolutions + (features + 1) * a + (a + 1) * b + (b + 1) * 10
    assert total > 42_000_000_000
    assert count_parameters(parse("C12k3-C256k7")) == total


@pytest.mark.parametrize(("text", "features"), [("C7k3-C195k5-MP", 195 * 256), ("C1k3-MP", 256)])
def test_the_derived_head_equals_its_explicit_form(text: str, features: int) -> None:
    body = parse(text)
    explicit = (*body, FC(features // 2), FC(features // 4))
    assert trace(body) == trace(explicit)


def test_the_derived_head_has_at_least_ten_neurons() -> None:
    table = trace(parse("C1k3-MP"), (1, 4, 4), 3)
    assert [row.output_shape for row in table if row.name.startswith("Linear")] == [
        (10,),
        (10,),
        (3,),
    ]


def _mixer(inputs: int, outputs: int, hidden: int) -> int:
    """Shares of 2, 1, 1, 1: kernels 3, 7, 7 with biases; norm; gated expansion; projection."""
    depthwise = (9 + 1) + (49 + 1) + (49 + 1)
    return depthwise + 2 * inputs + 2 * (inputs + 1) * hidden + (hidden + 1) * outputs


def _mixer_macs(inputs: int, outputs: int, hidden: int) -> int:
    return 9 + 49 + 49 + 2 * inputs * hidden + hidden * outputs


@pytest.mark.parametrize(
    ("text", "parameters", "macs"),
    [
        ("C8k3", 5 * 8 * 9 + 8, 5 * 8 * 9 * 42),
        ("MP", 0, 0),
        ("AP", 0, 0),
        ("B8k3", 5 * 8 * 9 + 16, 5 * 8 * 9 * 42),
        ("S8k3", 5 * 8 * 9 + 16, 5 * 8 * 9 * 12),
        ("R5k3", 2 * (5 * 5 * 9 + 10), 2 * 5 * 5 * 9 * 42),
        ("R8k3", 5 * 8 * 9 + 8 * 8 * 9 + 5 * 8 + 48, (5 * 8 * 9 + 8 * 8 * 9 + 5 * 8) * 42),
        ("D8k5", 5 * 25 + 10 + 5 * 8 + 16, (5 * 25 + 5 * 8) * 42),
        ("P9k3", 5 * 4 + 8 + 5 * 5 * 9 + 10, (5 * 4 + 5 * 5 * 9) * 42),
        ("G10k3g5", 10 * 1 * 9 + 20, 10 * 9 * 42),
        ("G8k3g5", 8 * 5 * 9 + 16, 8 * 5 * 9 * 42),  # gcd(5, 5, 8) = 1
        ("A8k3d9", 5 * 8 * 9 + 16, 5 * 8 * 9 * 42),
        ("I8k3e2", 5 * 10 + 20 + 90 + 20 + 80 + 16, (50 + 90 + 80) * 42),
        ("I5k3e1", 45 + 10 + 25 + 10, (45 + 25) * 42),
        ("I8k3e2s3", 276 + (10 + 1) * 3 + (3 + 1) * 10, (50 + 90 + 80) * 42 + 60),
        ("M6e2", _mixer(5, 6, 12), _mixer_macs(5, 6, 12) * 42),
        ("M5", _mixer(5, 5, 5) + 5, _mixer_macs(5, 5, 5) * 42),
    ],
)
def test_units_on_five_maps_of_7x6_pixels_count_as_by_hand(
    text: str, parameters: int, macs: int
) -> None:
    rows = [row for row in trace((*parse("C5k1"), *parse(text)), (2, 7, 6)) if row.unit == 1]
    assert sum(row.parameters for row in rows) == parameters
    assert sum(row.macs for row in rows) == macs


def test_a_mixer_has_the_parameters_of_cifar10_tiniest() -> None:
    """97,530 in all: stem 1,440, three blocks of 48 and of 80, reduction 4,080, classifier 810."""
    rows = trace(parse("C48k3-M48-C80k3-M80"))
    own = [sum(row.parameters for row in rows if row.unit == unit) for unit in (1, 3)]
    assert 1_440 + 3 * own[0] + 4_080 + 3 * own[1] + 810 == 97_530


def test_a_global_average_is_followed_by_the_classifier() -> None:
    table = trace(parse("C8k3-GAP"), (1, 28, 28), 4)
    assert [(row.name, row.output_shape, row.parameters, row.macs) for row in table[2:]] == [
        ("GlobalAvgPool2d-3", (8, 1, 1), 0, 0),
        ("Flatten-4", (8,), 0, 0),
        ("Linear-5", (4,), 36, 32),
    ]


def test_every_row_tells_the_unit_it_came_from() -> None:
    genome = parse("C7k3-MP-R8k3-GAP-FC9")
    units = [row.unit for row in trace(genome)]
    assert units == sorted(units)
    assert set(units) == {0, 1, 2, 3}


def test_the_genome_is_left_as_it_was() -> None:
    genome: list[Unit] = list(parse("C7k3-R8k3-MP-FC10"))
    before = list(genome)
    trace(genome)
    assert genome == before


@pytest.mark.parametrize("image_shape", [(3, 8, 8), (3, 64, 9)])
def test_too_many_pools_are_refused(image_shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"C7k3-MP-MP-MP has more pools .* below 2"):
        trace(parse("C7k3-MP-MP-MP"), image_shape)


@pytest.mark.parametrize(
    ("image_shape", "classes"),
    [((0, 8, 8), 2), ((3, 8, -8), 2), ((3, 8), 2), ((3, 8, 8), 0), ((3, 8.5, 8), 2)],
)
def test_impossible_tasks_are_refused(image_shape: Any, classes: int) -> None:
    with pytest.raises(ValueError, match="must be positive integers"):
        trace(parse("C7k3"), image_shape, classes)


def test_rows_are_values_with_features_that_follow_from_the_maps() -> None:
    table = trace(parse("P9k5-D4k3"), (3, 33, 47), 4)
    flat = next(i for i, row in enumerate(table) if row.name.startswith("Flatten"))
    assert table[flat].output_shape == (prod(table[flat - 1].output_shape),)
    assert table[flat] == Layer(table[flat].name, 2, (4 * 33 * 47,), 0, 0)


def test_what_equals_a_counted_network_but_is_none_is_refused() -> None:
    assert count_parameters((Conv(64, 3),)) > 0
    with pytest.raises(ValueError, match="needs integers"):
        count_parameters((Conv(64.0, 3),))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive integers"):
        count_parameters((Conv(64, 3),), (3.0, 32, 32))  # type: ignore[arg-type]
