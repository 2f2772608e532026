"""Packaging: one version, known classifiers, README's links as an index needs them."""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import optuna_de

ROOT = Path(__file__).parents[1]
SETUP = ROOT / "setup.py"


@pytest.fixture(scope="module")
def build() -> dict[str, Any]:
    return runpy.run_path(str(SETUP), run_name="build")


def test_links_are_absolute(build: dict[str, Any]) -> None:
    text = "![p](docs/a.png) [b](docs/b.md#x) [c](#c) [d](https://e.org/f) [g](LICENSE)"
    assert build["absolute"](text, "https://h/o/r") == (
        "![p](https://h/o/r/raw/main/docs/a.png) [b](https://h/o/r/blob/main/docs/b.md#x) "
        "[c](#c) [d](https://e.org/f) [g](https://h/o/r/blob/main/LICENSE)"
    )


def test_an_index_shows_no_relative_link(build: dict[str, Any]) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", build["readme"]())
    assert targets
    assert not [t for t in targets if not t.startswith(("https://", "#"))]


def test_classifiers_are_known() -> None:
    known = pytest.importorskip("trove_classifiers", reason="of the extra release")
    used = re.findall(r'^  "([^"]+ :: [^"]+)",$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert len(used) > 5
    assert set(used) <= known.classifiers


def test_the_command_has_the_version_of_the_package() -> None:
    run = [sys.executable, "-m", "optuna_de", "--version"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["optuna-de", optuna_de.__version__]


def test_scripts_name_no_index() -> None:
    for script in (ROOT / "scripts").iterdir():
        assert not re.search(r"https?://|--index|\.org\b|upload [^ ]*dist", script.read_text()), (
            script
        )
