"""Space: everything that a search space offers to the sampler, as one argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from optuna_de.search_space.distributions import Params

Prices = Mapping[int, Callable[[Params], float]]
"""Objectives known before the evaluation: index -> function of the parameters."""
_PARTS = ("initial", "repair", "accept", "prices")


class Space(Protocol):
    """A search space as :class:`optuna_de.DESampler` uses it; ``CNNSpace`` is one.

    Any object with these four names will do. Parameters are mappings of Optuna's parameter names
    to values.

    Example:
        >>> class Points:
        ...     prices = {1: lambda params: params["n"]}
        ...
        ...     def initial(self, rng):
        ...         return {"n": int(rng.integers(1, 50)), "rate": 10 ** rng.uniform(-4, 0)}
        ...
        ...     def repair(self, params):
        ...         return params
        ...
        ...     def accept(self, params):
        ...         return params.get("n", 0) <= 40
        >>> sampler = DESampler(space=Points())
    """

    def initial(self, rng: np.random.Generator) -> Params:
        """Draw the parameters of one member of the initial population."""
        ...

    def repair(self, params: Params) -> Params:
        """Return the canonical parameters of the same solution.

        Raises:
            ValueError: If the parameters are not of this space; they are kept as they are.
        """
        ...

    def accept(self, params: Params) -> bool:
        """Return whether a child may become a trial."""
        ...

    @property
    def prices(self) -> Prices:
        """Objectives known before the evaluation, by index, in the study's direction."""
        ...


@dataclass(frozen=True, slots=True)
class SpaceParts:
    """Parts that a sampler uses of a space; each may be given without one, or instead of its."""

    initial: Callable[[np.random.Generator], Params] | None
    repair: Callable[[Params], Params] | None
    accept: Callable[[Params], bool] | None
    prices: Prices

    @classmethod
    def of(cls, space: Space | None, *given: Any) -> SpaceParts:
        """Take each part that is not given, in the order of the fields, from the space.

        Raises:
            TypeError: If the space lacks some of its four names.
        """
        if space is not None:
            check_space(space)
        initial, repair, accept, prices = (
            getattr(space, name, None) if part is None else part
            for name, part in zip(_PARTS, given, strict=True)
        )
        return cls(initial, repair, accept, dict(prices or {}))


def check_space(space: object) -> None:
    """Check that an object offers what :class:`Space` lists.

    Raises:
        TypeError: If it lacks some of it.
    """
    missing = [name for name in _PARTS if not hasattr(space, name)]
    if missing:
        raise TypeError(
            f"space must have {', '.join(_PARTS[:-1])} and {_PARTS[-1]}, but "
            f"{type(space).__name__} has no {' and no '.join(missing)}."
        )
