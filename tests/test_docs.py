"""README and docs: their Python runs at tiny budgets, their commands and links exist."""

from __future__ import annotations

import doctest
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import create_autospec

import optuna
import pytest

import optuna_de
from optuna_de.cli.app import load_command

ROOT = Path(optuna_de.__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TINY = {"n_trials": 15, "total": 2, "trials": 2, "epochs": 1}
"""Budgets in the blocks are cut to these; of a block marked ``python no-run`` parts are played."""


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """Return name and text of each fenced block of a language."""
    text = page.read_text(encoding="utf-8")
    fences = re.finditer(r"^```(.*?)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [
        (f"{page.name}:{text[: m.start()].count(chr(10)) + 1}", m[2])
        for m in fences
        if m[1] == language
    ]


def examples(page: Path) -> list[tuple[str, str]]:
    """Return the Python of a page: block by block, or at once if blocks follow one another."""
    python_blocks = blocks(page, "python")
    whole = "\n".join(code for _, code in python_blocks)
    return [(page.name, whole)] if page.name == "gallery.md" else python_blocks


CODE = [block for page in PAGES for block in examples(page)]
COMMANDS = [
    (name, line)
    for page in PAGES
    for name, text in blocks(page, "")
    for line in text.splitlines()
    if line.startswith("optuna-de ")
]


def tiny(code: str) -> str:
    """Return code whose whole-number budgets are at most those of :data:`TINY`."""

    def cut(option: re.Match[str]) -> str:
        return f"{option[1]}={min(int(option[2]), TINY[option[1]])}"

    return re.sub(rf"\b({'|'.join(TINY)})=(\d+)\b(?=[,)])", cut, code)


@pytest.mark.parametrize(("name", "code"), CODE, ids=[name for name, _ in CODE])
def test_the_code_runs(
    name: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if code.startswith(">>>"):
        test = doctest.DocTestParser().get_doctest(code, {}, name, name, 0)
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0
        return
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)  # dataclasses look it up
    exec(compile(tiny(code), name, "exec"), vars(module))
    study = vars(module).get("study")
    backend = getattr(getattr(study, "_storage", None), "_backend", None)
    if backend is not None:
        backend.engine.dispose()


PLAYED = {
    "optuna_integration": ("MLflowCallback", "WeightsAndBiasesCallback"),
    "optuna_de.cnn": ("fit", "ImageClassifierSearch"),
    "optuna_de.cnn.search": ("TensorBoardCallback",),
    "optuna_de.cnn.export": ("export_model", "open_model", "predict"),
}
"""What trains for hours or needs another package: played in blocks marked ``python no-run``."""
UNRUN = [block for page in PAGES for block in blocks(page, "python no-run")]


@pytest.mark.parametrize(("name", "code"), UNRUN, ids=[name for name, _ in UNRUN])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_code_that_needs_hours_calls_what_there_is(
    name: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call has a name and arguments that exist; study and images are given."""
    monkeypatch.chdir(tmp_path)
    used = [(m, n) for m, names in PLAYED.items() for n in names if re.search(rf"\b{n}\b", code)]
    assert used, "run the block, or say here what is played"
    for module, thing in used:
        played = pytest.importorskip(module)
        monkeypatch.setattr(played, thing, create_autospec(getattr(played, thing)))
    given = {
        "study": optuna.create_study(directions=["minimize"] * 2),
        "objective": lambda trial: (trial.suggest_float("x", 0, 1), 1.0),
        **dict.fromkeys(("images", "labels", "others")),
    }
    exec(compile(tiny(code), name, "exec"), given)


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_the_commands_have_these_options(name: str, line: str) -> None:
    _, chosen, *rest = line.split()
    known = {opt for p in load_command(chosen).params for opt in p.opts}
    assert {word for word in rest if word.startswith("--")} <= known, name


def test_a_broken_link_is_told_from_a_host_out_of_reach() -> None:
    check = runpy.run_path(str(ROOT / "scripts" / "links.py"))["broken"]
    place = {"filename": "faq.md", "lineno": 7, "uri": "https://a.org/x"}
    links = [
        {**place, "status": "broken", "info": "404 Client Error: Not Found for url"},
        {**place, "status": "broken", "info": "Max retries exceeded (NameResolutionError)"},
        {**place, "status": "broken", "info": "Anchor 'x' not found"},
        {**place, "status": "working", "info": ""},
    ]
    wrong, hosts = check(links)
    assert [line.split(": ")[2] for line in wrong] == ["404 Client Error", "Anchor 'x' not found"]
    assert hosts == ["a.org"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [t for t in targets if "://" not in t]
    assert [t for t in local if not (page.parent / t).exists()] == []
