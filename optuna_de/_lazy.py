"""Names of a package whose modules are imported when a name is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__`` (PEP 562), for names whose modules need torch.

    Args:
        package: The package's ``__name__``.
        modules: The module of each name, relative to the package.

    Example:
        >>> get = lazy("optuna_de", {"parse": "cnn.architecture.genomes"})
        >>> get("parse").__name__
        'parse'
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return get
