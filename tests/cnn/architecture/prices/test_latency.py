"""Latency tables: sums of layers are found again, files are read back, others refused."""

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


@pytest.mark.parametrize("text", ["", "[]", '{"format": "optuna_de latency table 1"}', "rows"])
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
