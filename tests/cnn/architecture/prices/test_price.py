"""Amounts and limits are read with the suffixes of their unit, and refused in one sentence."""

import pytest

from optuna_de.cnn.architecture.prices import MACS, PARAMETERS, Limit, Price, parse_limit

BYTES = Price("memory", "KiB", lambda *_: 1.0, spec=",.1f")
TIME = Price("latency", "ms", lambda *_: 1.0, spec=".3g")
ENERGY = Price("energy", "mJ", lambda *_: 1.0)
PRICES = [PARAMETERS, MACS, BYTES, TIME, ENERGY]


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("parameters<=500k", 500e3, "parameters<=500,000"),
        ("macs <= 20M", 20e6, "macs<=20,000,000"),
        ("memory<=256KiB", 256, "memory<=256.0KiB"),
        ("memory<=1MiB", 1024, "memory<=1,024.0KiB"),
        ("memory<=1024B", 1, "memory<=1.0KiB"),
        ("latency<=5ms", 5, "latency<=5ms"),
        ("latency<=0.5s", 500, "latency<=500ms"),
        ("energy<=3mJ", 3, "energy<=3mJ"),
    ],
)
def test_suffixes_are_those_of_the_unit(text: str, most: float, shown: str) -> None:
    limit = parse_limit(text, PRICES)
    assert limit.most == pytest.approx(most)
    assert str(limit) == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parameters<500", "must read like"),
        ("parameters<=", "must read like"),
        ("size<=5", "is on no known price; choose from parameters, macs"),
        ("latency<=5", "with one of these suffixes: us, ms, s"),
        ("latency<=fastms", "'fastms' of latency must be a number above 0"),
        ("macs<=-5M", "'-5M' of macs"),
        ("macs<=inf", "'inf' of macs"),
        ("memory<=5mb", "suffixes: B, kB, KiB, MB, MiB"),
    ],
)
def test_a_wrong_limit_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_limit(text, PRICES)
    assert str(caught.value).count(". ") == 0


def test_the_excess_is_that_over_the_limit() -> None:
    price = Price("n", "u", lambda genome, *_: len(genome), spec=".1f")
    assert (Limit(price, 2).excess(1.5), Limit(price, 0.5).excess(1)) == (0, 0.5)
    assert Limit(price, 0.5).reason(1) == "n 1.0 u is over the limit of 0.5 u"
    with pytest.raises(ValueError, match="must be a word without"):
        Price("a price", "", lambda *_: 1.0)
