"""Latency tables: sums of layers are found again, files are read back, others refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from optuna_de.cnn import CNNSpace, count_macs, parse
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.prices import LATENCY, LatencyTable

SHAPE: ImageShape = (1, 8, 8)


def rows(n: int) -> tuple[tuple[str, ImageShape, float], ...]:
    """Return networks of a convolution and pools, at 0.1 ms and 1 ms a million MACs."""
    texts = [f"B{8 + i}k{1 + 2 * (i % 3)}-{'MP-' * (i % 2)}GAP" for i in range(n)]
    return tuple((t, SHAPE, 0.1 + count_macs(parse(t), SHAPE, 10) / 1e6) for t in texts)


def test_a_sum_of_layers_is_found_again(tmp_path: Path) -> None:
    LatencyTable("a test", rows(30)).save(tmp_path / "table.json")
    table = LatencyTable.load(tmp_path / "table.json")
    assert table == LatencyTable("a test", rows(30))
    genome = parse("B40k3-MP-B24k3-GAP")
    expected = 0.1 + count_macs(genome, SHAPE, 10) / 1e6
    assert table.price.known
    assert table.price.value(genome, SHAPE, 10) == pytest.approx(expected, rel=0.05)
    space = CNNSpace(SHAPE, 10, priced=(table.price,))
    params = space.initial(np.random.default_rng(0))
    assert space.prices[1](params) == table.predict(space.decode(params), SHAPE, 10)


def test_errors_count_by_their_share() -> None:
    """Large networks of which every other one takes twice its time spoil no small one's."""
    texts = [f"B{c}k{k}-GAP" for c in (200, 512) for k in (1, 3, 5)]
    macs = [count_macs(parse(text), SHAPE, 10) / 1e6 for text in texts]
    large = [
        (t, SHAPE, 0.1 + m * (1 + i % 2)) for i, (t, m) in enumerate(zip(texts, macs, strict=True))
    ]
    table = LatencyTable("", (*rows(30), *large))
    for text, _, ms in rows(30):
        assert table.predict(parse(text), SHAPE, 10) == pytest.approx(ms, rel=0.25)


def timed(kind: str, c: int, side: int) -> tuple[str, ImageShape, float]:
    """Return a network whose second unit takes another time a MAC than dense convolutions do."""
    block = 0.2 if c % 32 == 0 else 3.0  # ms a million MACs
    work = {"G": 9 * c * c / 4 * block, "D": 9 * c * 5 + c * c, "B": 9 * c * c}[kind]
    ms = 0.1 + (side**2 * (3 * c + work) + 10 * c) / 1e6
    return f"B{c}k1-{kind}{c}k3-GAP", (3, side, side), ms


def test_kinds_of_convolutions_have_their_own_times() -> None:
    pairs = tuple(zip("GGGGDDBB", (32, 64, 20, 36, 16, 48, 16, 48), strict=True))
    table = LatencyTable("", tuple(timed(k, c, s) for k, c in pairs for s in range(4, 12)))
    for kind, c in pairs:
        text, shape, ms = timed(kind, c, 13)
        assert table.predict(parse(text), shape, 10) == pytest.approx(ms, rel=0.1)


OTHER = json.dumps({"format": "another", "source": "", "rows": rows(30)})


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "optuna_de latency table 1"}', "rows", OTHER]
)
def test_what_is_no_table_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(ValueError, match="is no latency table; name a new file"):
        LatencyTable.load(tmp_path / "table.json")


def test_few_rows_and_an_unmeasured_latency_are_refused() -> None:
    for bad in (rows(5), tuple((t, s, 0.0) for t, s, _ in rows(30))):
        with pytest.raises(ValueError, match="needs 20 or more measurements above 0 ms"):
            LatencyTable("", bad)
    with pytest.raises(ValueError, match="latency has no device"):
        replace(LATENCY).value(parse("B8k3-GAP"), SHAPE, 10)
