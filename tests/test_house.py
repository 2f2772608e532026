"""The house: arrows run one way, frameworks stay out of the core, exports are true."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import optuna_de
import optuna_de.cnn

ROOT = Path(optuna_de.__file__).parent
ORDER = [
    ["_checks", "_compat", "genome", "selection", "halving", "plan", "_gaussian", "_merits"],
    ["variation", "ranges", "_scales", "_fold"],
    ["space", "_features"],
    ["population", "_surrogate", "screening"],
    ["breeding"],
    ["sampler"],
    ["_rdb", "_reaper", "_stop", "_url"],
    ["_beat", "_turn", "_journal", "_proxy"],
    ["storage", "worker"],
    ["visualization"],
    ["cnn.units", "cnn.recipes", "cnn.primitives"],
    ["cnn.layers"],
    ["cnn.initial", "cnn.zoo"],
    ["cnn.space"],
    ["cnn"],
    ["cli"],
    ["__main__"],
]
"""Levels of the house, lowest first; a module imports from its own level or below."""
TORCH_FREE = {
    *("units", "layers", "initial", "zoo", "space", "recipes", "drawing", "display", "artifacts"),
    *("machine", "record", "report", "report_facts", "report_rows", "stages", "blueprint"),
    *("canvas", "primitives", "compare_page"),
}
FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> set[str]:
    """Return the dotted names a file imports while it is imported, those for types left out."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def level_of(module: str) -> int:
    for level in reversed(range(len(ORDER))):
        for name in ORDER[level]:
            if module == name or (name == "visualization" and module.startswith(name)):
                return level
    return next(i for i, names in enumerate(ORDER) if "cnn" in names)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_arrows_run_one_way(path: Path) -> None:
    module = module_of(path)
    if not module:
        return  # the package's own __init__ gathers the public names
    for name in imports_of(path):
        if not name.startswith("optuna_de."):
            continue
        target = name.removeprefix("optuna_de.")
        while target and not any(module_of(f) == target for f in FILES):
            target = target.rpartition(".")[0]
        if not target:
            continue
        assert level_of(target) <= level_of(module), f"{module} imports {target}"
        if not module.startswith(("cnn", "cli", "__main__")):
            assert not target.startswith("cnn"), f"the core imports {target}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_private_names_of_optuna_are_in_one_file(path: Path) -> None:
    if path.name == "_compat.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = node.value.id
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            assert not (private and owner in ("study", "trial", "storage")), ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_torch_is_imported_by_the_application_only(path: Path) -> None:
    frameworks = {"torch", "torchvision"}
    if path.parent.name != "cnn":
        assert not re.search(r"^\s*(import|from) torch", path.read_text(), re.MULTILINE)
    elif path.stem in TORCH_FREE:
        assert not {name.partition(".")[0] for name in imports_of(path)} & frameworks


@pytest.mark.parametrize("module", ["optuna_de", "optuna_de.cnn"])
def test_imports_leave_torch_and_plotly_unloaded(module: str) -> None:
    code = f"import sys, {module}; print({{'torch', 'plotly', 'sklearn'}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize("module", [optuna_de, optuna_de.cnn], ids=lambda m: m.__name__)
def test_exports_exist_and_are_sorted_and_documented(module: object) -> None:
    names: list[str] = module.__all__  # type: ignore[attr-defined]
    assert names == sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    for name in names:
        public = getattr(module, name)
        assert not callable(public) or public.__doc__
