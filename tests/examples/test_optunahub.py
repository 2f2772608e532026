"""The recipes for OptunaHub's registry load and run, and pass the registry's own checks."""

import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest

import optuna_de

optunahub = pytest.importorskip("optunahub", reason="optunahub is not installed")
FOLDER = Path(__file__).parents[2] / "examples" / "optunahub"
REGISTRY = FOLDER / "package"
LISTS: dict[str, Any] = runpy.run_path(str(FOLDER / "api_lists.py"))
PACKAGES = tuple(LISTS["APIS"])


def load(package: str) -> Any:
    return optunahub.load_local_module(package, registry_root=str(REGISTRY))


def test_the_sampler_loads_from_a_local_registry_and_samples() -> None:
    module = load("samplers/optuna_de")
    assert module.DESampler is optuna_de.DESampler
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=module.DESampler(seed=0, population_size=4)
    )
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), t.suggest_int("n", 0, 9)), n_trials=12)
    assert len(study.trials) == 12


@pytest.mark.parametrize("package", PACKAGES)
def test_the_example_of_the_readme_runs(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optunahub, "load_module", load)
    code = re.search(r"```python\n(.*?)```", readme(package), re.DOTALL)
    assert code
    names: dict[str, Any] = {}
    exec(re.sub(r"n_trials=\d+", "n_trials=20", code[1]), names)
    assert len(names["study"].trials) == 20


def readme(package: str) -> str:
    return (REGISTRY / package / "README.md").read_text("utf-8")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_has_the_registrys_form(package: str) -> None:
    text = readme(package)
    front = text.split("---")[1]
    for key in ("author", "title", "description", "tags", "optuna_versions", "license"):
        assert re.search(rf"^{key}: \S", front, re.MULTILINE)
    assert f"tags: [{package.split('/')[0].removesuffix('s')}," in front
    assert re.findall("^## (.*)", text, re.MULTILINE) == [
        *("Abstract", "APIs", "Installation", "Example")
    ]
    assert {f.name for f in (REGISTRY / package).iterdir() if f.is_file()} >= {
        *("LICENSE", "README.md", "__init__.py", "requirements.txt")
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_the_list_of_names_is_that_of_the_signatures(package: str) -> None:
    assert LISTS["with_list"](readme(package), package) == readme(package), "run api_lists.py"


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
def test_the_registrys_ruff_rules_hold() -> None:
    run = [sys.executable, "-m", "ruff"]
    for check in ([*run, "check", str(REGISTRY)], [*run, "format", "--check", str(REGISTRY)]):
        done = subprocess.run(check, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(find_spec("mdformat") is None, reason="mdformat is not installed")
@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_is_formatted_as_the_registry_wants(package: str) -> None:
    check = [sys.executable, "-m", "mdformat", "--check", str(REGISTRY / package / "README.md")]
    done = subprocess.run(check, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
