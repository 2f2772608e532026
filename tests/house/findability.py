"""Findability: the share of definitions whose file their own words name.

A reader who looks for a definition has its name and the first line of its docstring. A file offers
the words of its path and the first line of its own docstring. Files are ranked by the share of
words in common (Jaccard index); a definition is found where its file alone is first.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

GENERATED = ("auto_generated", "alembic")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_COMMON = (
    "a an and are as at be by each every for from in is it its no not of on one or so than that "
    "the their then these this to what where which with how whether"
)
_STOP = frozenset(_COMMON.split(" "))
_DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def words(text: str) -> frozenset[str]:
    """Return the stems of a text's words; ``under_score`` and ``CamelCase`` are two words each."""
    spelt = (word.lower() for word in _WORD.findall(text))
    return frozenset(stem(word) for word in spelt if word not in _STOP)


def stem(word: str) -> str:
    """Return an English word without plural, ``-ing`` and a last ``e``.

    >>> [stem(w) for w in ("storages", "training", "trained", "studies", "loss")]
    ['storag', 'train', 'trained', 'study', 'loss']
    """
    if word.endswith("ies"):
        word = f"{word[:-3]}y"
    elif word.endswith(("sses", "xes", "ches", "shes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    if word.endswith("ing") and len(word) > 5:
        word = word[:-3]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


@dataclass(frozen=True)
class Definition:
    """A public function or class with a docstring, at the top of a file."""

    file: Path
    name: str
    words: frozenset[str]


@dataclass(frozen=True)
class Findability:
    """A package's public definitions beside the words of its files, and of their paths alone."""

    files: dict[Path, frozenset[str]]
    paths: dict[Path, frozenset[str]]
    definitions: tuple[Definition, ...]

    @classmethod
    def of(cls, root: Path) -> Findability:
        """Read a package's folder; generated code is left out."""
        trees = {
            path.relative_to(root): ast.parse(path.read_text(encoding="utf-8"))
            for path in sorted(root.rglob("*.py"))
            if not set(GENERATED) & set(path.parts)
        }
        paths = {file: words(str(file.with_suffix("")).replace("__init__", "")) for file in trees}
        files = {file: paths[file] | words(_first_line(tree)) for file, tree in trees.items()}
        return cls(files, paths, tuple(d for f, tree in trees.items() for d in _public(f, tree)))

    def rank(self, definition: Definition) -> int:
        """Return how many files offer as much as the definition's own, itself among them."""
        own = _share(definition.words, self.files[definition.file])
        return sum(_share(definition.words, offered) >= own for offered in self.files.values())

    @property
    def lost(self) -> list[Definition]:
        """Definitions whose file is not first, or not alone there."""
        return [d for d in self.definitions if self.rank(d) > 1]

    @property
    def wordless(self) -> list[Definition]:
        """Definitions that have no word in common with their file's path."""
        return [d for d in self.definitions if not d.words & self.paths[d.file]]

    def share(self, some: Sequence[Definition]) -> float:
        """Return how many of all definitions these are, in [0, 1]."""
        return len(some) / len(self.definitions)


def _share(wanted: frozenset[str], offered: frozenset[str]) -> float:
    return len(wanted & offered) / max(1, len(wanted | offered))


def _first_line(node: ast.Module | _DEFINITION) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _public(file: Path, tree: ast.Module) -> Iterator[Definition]:
    for node in tree.body:
        if isinstance(node, _DEFINITION) and not node.name.startswith("_") and _first_line(node):
            yield Definition(file, node.name, words(f"{node.name} {_first_line(node)}"))


if __name__ == "__main__":
    seen = Findability.of(Path(sys.argv[1]))
    print(*(f"{d.file}: {d.name}" for d in seen.lost), sep="\n")
    print(
        f"Of {len(seen.definitions)} definitions {1 - seen.share(seen.lost):.1%} are found, "
        f"{seen.share(seen.wordless):.1%} have no word of their file's path."
    )
