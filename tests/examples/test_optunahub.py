"""The recipe for OptunaHub's registry loads and samples."""

import re
from pathlib import Path

import optuna
import pytest

import optuna_de

optunahub = pytest.importorskip("optunahub", reason="optunahub is not installed")
REGISTRY = Path(__file__).parents[2] / "examples" / "optunahub" / "package"


def test_the_package_loads_from_a_local_registry_and_samples() -> None:
    module = optunahub.load_local_module("samplers/optuna_de", registry_root=str(REGISTRY))
    assert module.DESampler is optuna_de.DESampler
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=module.DESampler(seed=0, population_size=4)
    )
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), t.suggest_int("n", 0, 9)), n_trials=12)
    assert len(study.trials) == 12


def test_the_readme_has_the_registry_front_matter() -> None:
    text = (REGISTRY / "samplers" / "optuna_de" / "README.md").read_text()
    front = text.split("---")[1]
    for key in ("author", "title", "description", "tags", "optuna_versions", "license"):
        assert re.search(rf"^{key}: \S", front, re.MULTILINE)
