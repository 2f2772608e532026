"""Figures of a package's source: folders, floors, lengths of functions, findability.

Run ``python -m tests.house.figures FOLDER``; it reads source only.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median

from tests.house.findability import GENERATED, Findability

Graph = dict[Path, set[Path]]


def files_of(root: Path) -> list[Path]:
    """Return a package's files, relative to its folder; generated code is left out."""
    return [
        f.relative_to(root) for f in sorted(root.rglob("*.py")) if not {*GENERATED} & {*f.parts}
    ]


def imports_of(root: Path, files: list[Path], *, lazy: bool) -> Graph:
    """Return which files of a package each file imports.

    Args:
        root: The package's folder.
        files: Its files, relative to that.
        lazy: Whether imports within functions and for types only count.
    """
    return {f: set(_targets(root, f, set(files), lazy)) - {f} for f in files}


def _targets(root: Path, file: Path, files: set[Path], lazy: bool) -> Iterator[Path]:
    tree = ast.parse((root / file).read_text(encoding="utf-8"))
    for node in ast.walk(tree) if lazy else tree.body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *parts = name.split(".")
            if package == root.name:
                yield from _file_of(parts, files)


def _file_of(parts: list[str], files: set[Path]) -> list[Path]:
    """Return the file that a dotted name is of: a module, its folder's ``__init__``, or above."""
    for n in range(len(parts), 0, -1):
        for file in (Path(*parts[:n]).with_suffix(".py"), Path(*parts[:n], "__init__.py")):
            if file in files:
                return [file]
    return []


def floors(graph: Graph) -> int:
    """Return the number of files on the longest way down a graph; a circle is one floor."""
    below = {file: _reached(graph, file) for file in graph}
    circles = {f: frozenset({f} | {g for g in below[f] if f in below[g]}) for f in graph}

    @cache
    def height(circle: frozenset[Path]) -> int:
        under = {circles[f] for file in circle for f in graph[file] & graph.keys()} - {circle}
        return 1 + max(map(height, under), default=0)

    return max(map(height, circles.values()), default=0)


def _reached(graph: Graph, file: Path) -> set[Path]:
    seen, left = set[Path](), [file]
    while left:
        more = (graph[left.pop()] & graph.keys()) - seen
        seen |= more
        left += more
    return seen


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def function_lengths(root: Path, files: list[Path]) -> list[int]:
    """Return the lines of every function, from ``def`` to its end, less those of its docstring."""
    return [
        _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)
        for f in files
        for node in ast.walk(ast.parse((root / f).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def figures(root: Path) -> Iterator[tuple[str, object]]:
    """Yield the figures of a package."""
    files = files_of(root)
    folders = Counter(f.parent for f in files if f.name != "__init__.py")
    largest = folders.most_common(1)[0][0]
    graph = imports_of(root, files, lazy=False)
    yield "files", len(files)
    yield "lines", sum(len((root / f).read_text(encoding="utf-8").splitlines()) for f in files)
    yield "folders", len(folders)
    yield "modules of the largest folders", {str(f): n for f, n in folders.most_common(3)}
    yield "floors", floors(graph)
    yield "floors with lazy imports", floors(imports_of(root, files, lazy=True))
    within = {f: t for f, t in graph.items() if f.parent == largest and f.name != "__init__.py"}
    yield f"floors within {largest}", floors(within)
    yield "imports", sum(map(len, graph.values()))
    lengths = function_lengths(root, files)
    yield "functions", len(lengths)
    yield "median lines of a function", median(lengths)
    yield "functions over 40 lines", sum(n > 40 for n in lengths)
    seen = Findability.of(root)
    yield "public definitions", len(seen.definitions)
    yield "found at the first guess", f"{1 - seen.share(seen.lost):.1%}"
    yield "without a word of their file's path", f"{seen.share(seen.wordless):.1%}"


def main() -> None:
    """Print the figures of a package as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="the package's folder")
    args = parser.parse_args()
    print(json.dumps(dict(figures(args.root.resolve())), indent=1))


if __name__ == "__main__":
    main()
