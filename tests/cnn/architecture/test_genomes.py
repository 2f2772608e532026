import pytest
from hypothesis import given, settings

from optuna_de.cnn.architecture.cost import trace
from optuna_de.cnn.architecture.genomes import (
    Genome,
    check,
    parse,
    render,
    repair,
    side_after,
    split_head,
)
from optuna_de.cnn.architecture.units import (
    FC,
    GAP,
    GMP,
    AvgPool,
    Conv,
    Dilated,
    DownConv,
    Grouped,
    Inverted,
    MaxPool,
    Mixer,
    NormConv,
    Parallel,
    Residual,
    Separable,
    Unit,
)
from tests.cnn.architecture.kit import genomes, image_shapes


@settings(derandomize=True, deadline=None)
@given(genomes)
def test_text_is_read_back(genome: Genome) -> None:
    assert parse(render(genome)) == genome


def test_every_unit_has_a_text() -> None:
    text = "C7k3-MP-AP-B8k1-S16k3-R32k5-D9k7-P10k3-FC512"
    assert parse(text) == (
        Conv(7, 3),
        MaxPool(),
        AvgPool(),
        NormConv(8, 1),
        DownConv(16, 3),
        Residual(32, 5),
        Separable(9, 7),
        Parallel(10, 3),
        FC(512),
    )
    assert parse(" C7k3-GAP ") == (Conv(7, 3), GAP())
    assert parse("G8k3-G8k7g2-A9k3d3-I8k5-I8k3e6s4-M48-M12e2-GMP") == (
        *(Grouped(8, 3), Grouped(8, 7, 2), Dilated(9, 3, 3), Inverted(8, 5)),
        *(Inverted(8, 3, expansion=6, squeeze=4), Mixer(48), Mixer(12, expansion=2), GMP()),
    )


def test_defaults_are_left_out_of_texts() -> None:
    assert render(parse("MPx2-R8k3x3-I8k3d2x2-GAP")) == "MP-MP-R8k3-R8k3-R8k3-I8k3d2-I8k3d2-GAP"
    assert render(parse("G8k3g4-I8k3e4s0-I8k3s2-M8e1")) == "G8k3-I8k3-I8k3s2-M8"


@pytest.mark.parametrize(
    ("text", "token", "position"),
    [
        ("C7k3-C8-MP", "C8", 2),
        ("C7k3-MP-X9", "X9", 3),
        ("C7k3--MP", "", 2),
        ("", "", 1),
        ("c7k3", "c7k3", 1),
        ("C7k3-MP2", "MP2", 2),
        ("C7k3-FC", "FC", 2),
        ("C7k3 -MP", "C7k3 ", 1),
        ("C-7k3", "C", 1),
        ("C\u0667k3", "C\u0667k3", 1),
        ("C7k3-C8k4", "C8k4", 2),
        ("C7k3-C8k0", "C8k0", 2),
        ("C7k3-C0k3", "C0k3", 2),
        ("C7k3-P1k3", "P1k3", 2),
        ("C7k3-FC0", "FC0", 2),
        ("C7k3-I8", "I8", 2),
        ("C7k3-I8e4k3", "I8e4k3", 2),
        ("C7k3-I8k3k3", "I8k3k3", 2),
        ("C7k3-I8k3x0", "I8k3x0", 2),
        ("C7k3-I8k3e0", "I8k3e0", 2),
        ("C7k3-G8k3g", "G8k3g", 2),
        ("C7k3-M", "M", 2),
    ],
)
def test_bad_text_names_the_token_and_its_position(text: str, token: str, position: int) -> None:
    with pytest.raises(ValueError, match=rf"Unit {position} .*'{token}'") as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_a_long_token_is_refused_at_once_and_not_repeated_whole() -> None:
    with pytest.raises(ValueError, match="not understood") as caught:
        parse("C" + "9" * 100_000 + "k3")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["C7k3-FC10-MP", "FC10-C7k3", "C7k3-FC10-GAP", "C7k3-GAP-GMP"])
def test_heads_stand_at_the_end(text: str) -> None:
    with pytest.raises(ValueError, match="stands before other units"):
        parse(text)


@pytest.mark.parametrize("text", ["GAP", "GMP", "FC10", "GAP-FC10-FC10"])
def test_a_head_alone_is_no_architecture(text: str) -> None:
    with pytest.raises(ValueError, match="at least one unit before its head"):
        parse(text)


@pytest.mark.parametrize(
    "unit",
    [Conv(0, 3), Conv(4, -1), Conv(4, 2), Conv(2.5, 3), FC(-3)],  # type: ignore[arg-type]
)
def test_impossible_sizes_are_refused(unit: Unit) -> None:
    genome = (Conv(3, 3), unit)
    with pytest.raises(ValueError, match=r"Unit 2 .* needs"):
        check(genome)
    with pytest.raises(ValueError, match=r"Unit 2 .* needs"):
        trace(genome)


@settings(derandomize=True, deadline=None)
@given(genomes)
def test_body_and_head_are_the_genome(genome: Genome) -> None:
    body, head = split_head(genome)
    assert body + head == genome
    assert not any(unit.is_head for unit in body)


@settings(derandomize=True, deadline=None)
@given(genomes, image_shapes)
def test_repair_drops_only_downsampling_and_is_done_after_once(
    genome: Genome, image_shape: tuple[int, int, int]
) -> None:
    before = list(genome)
    repaired = repair(before, image_shape)
    assert before == list(genome)
    assert repair(repaired, image_shape) == repaired
    rest = iter(genome)
    assert all(unit in rest for unit in repaired)
    kept = [u for u in genome if u.is_head or side_after(u, 32) == 32]
    assert [u for u in repaired if u.is_head or side_after(u, 32) == 32] == kept


@settings(derandomize=True, deadline=None)
@given(genomes, image_shapes)
def test_no_repaired_genome_has_a_side_below_two(
    genome: Genome, image_shape: tuple[int, int, int]
) -> None:
    repaired = repair((Conv(4, 3), *genome), image_shape)
    behind = {row.unit: row.output_shape for row in trace(repaired, image_shape, 4)}
    bodies = range(len(split_head(repaired)[0]))
    with_layers = [unit for unit in bodies if unit in behind]  # switches have none
    assert min(min(behind[unit][1:]) for unit in with_layers) >= 2


def test_pools_go_where_the_side_would_fall_below_two() -> None:
    deep = parse("C7k3-MP-AP-MP-MP-MP-C8k3-AP")
    assert render(repair(deep, (3, 32, 32))) == "C7k3-MP-AP-MP-MP-C8k3"
    assert render(repair(deep, (3, 8, 300))) == "C7k3-MP-AP-C8k3"
    assert render(repair(deep, (3, 3, 3))) == "C7k3-C8k3"
    strided = parse("S8k3-S8k3-S8k3")
    assert render(repair(strided, (1, 5, 5))) == "S8k3-S8k3"
