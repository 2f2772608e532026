"""API lists of the READMEs for OptunaHub's registry, written from the signatures.

Run it after a signature has changed: ``python examples/optunahub/api_lists.py``.
"""

from collections.abc import Iterator
from inspect import Parameter
from inspect import signature
from pathlib import Path
import re
from typing import Any

import optuna_de


FOLDER = Path(__file__).parent / "package"
APIS: dict[str, tuple[str, ...]] = {
    "samplers/optuna_de": ("DESampler", "SequenceSpace"),
    "pruners/pareto_halving": ("Halving", "Halving.should_stop", "Halving.within"),
}
"""Names of each package's list."""


def api_list(package: str) -> str:
    """Return a package's list: each name with its arguments and the first line of its docstring."""
    return "\n".join(_lines(package))


def _lines(package: str) -> Iterator[str]:
    for name in APIS[package]:
        thing: Any = optuna_de
        for part in name.split("."):
            thing = getattr(thing, part)
        first = (thing.__doc__ or "").partition("\n")[0].replace("``", "`")
        yield f"- `{name}({', '.join(_arguments(thing))})`: {first}"


def _arguments(thing: Any) -> Iterator[str]:
    keywords = False
    for one in signature(thing).parameters.values():
        if one.name == "self":
            continue
        if one.kind is Parameter.KEYWORD_ONLY and not keywords:
            keywords = True
            yield "*"
        yield one.name if one.default is Parameter.empty else f"{one.name}={one.default!r}"


def with_list(text: str, package: str) -> str:
    """Return a README whose section "APIs" holds the list."""
    return re.sub(
        r"(## APIs\n\n).*?(\n\n## )",
        lambda m: m[1] + api_list(package) + m[2],
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for package in APIS:
        readme = FOLDER / package / "README.md"
        readme.write_text(with_list(readme.read_text("utf-8"), package), "utf-8")
