"""Docstrings of public names: their examples run, and each public class has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import optuna
import pytest
from optuna.distributions import IntDistribution

import optuna_de
from optuna_de.cnn import (
    CNNSpace,
    count_macs,
    count_parameters,
    get_architecture,
    get_recipe,
    parse,
    render,
)
from optuna_de.cnn.data import load_data
from optuna_de.cnn.search import CNNObjective, Search
from optuna_de.sampler.space import Space
from optuna_de.screening import Screening

NAMES: dict[str, Any] = {
    **{name: getattr(optuna_de, name) for name in optuna_de.__all__},
    **{one.__name__: one for one in (CNNSpace, CNNObjective, Search, Space, Screening)},
}
GIVEN = {
    **NAMES,
    **{"optuna": optuna, "load_data": load_data, "get_recipe": get_recipe},
    **{one.__name__: one for one in (count_macs, count_parameters, get_architecture)},
    **{"parse": parse, "render": render},
    **{"dataclass": dataclass, "ClassVar": ClassVar, "IntDistribution": IntDistribution},
}
"""What the examples may use without an import."""


NEEDS_MORE = {
    *("fit", "ImageClassifierSearch", "TensorBoardCallback", "load_data"),
    *("export_model", "open_model", "predict"),
}
"""Names whose examples need hours, images or a model; ``tests/test_docs.py`` plays such calls."""


def listed() -> list[str]:
    """Return the classes and functions of the site's reference."""
    text = (Path(optuna_de.__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    return re.findall(r"auto(?:class|function):: (\S+)", text)


@pytest.mark.parametrize("name", listed())
def test_the_example_of_a_name_of_the_reference_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, short = name.rpartition(".")
    text = inspect.getdoc(getattr(importlib.import_module(module), short)) or ""
    test = doctest.DocTestParser().get_doctest(text, dict(GIVEN), name, None, 0)
    assert test.examples, f"{name} has no example"
    if short not in NEEDS_MORE | set(NAMES):
        monkeypatch.chdir(tmp_path)
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(NAMES[name]) or ""
    test = doctest.DocTestParser().get_doctest(text, dict(GIVEN), name, None, 0)
    assert test.examples, f"{name} has no example"
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_every_alias_of_the_site_exists() -> None:
    places = {
        "Params": "search_space.distributions",
        "Losses": "screening.transforms",
        "Prices": "sampler.space",
        "Repair": "evolution.population",
        "Genome": "cnn.architecture.genomes",
        "ImageShape": "cnn.architecture.layers",
    }
    for name, module in places.items():
        assert hasattr(importlib.import_module(f"optuna_de.{module}"), name), name
