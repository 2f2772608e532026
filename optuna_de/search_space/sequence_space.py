"""Sequence spaces: kinds of units and lengths, suggested under any Optuna sampler."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from optuna_de.evolution.genome import Unit, Value
from optuna_de.search_space.distributions import Distributions, Params, holds, suggest
from optuna_de.search_space.encoding import Name, Sequences, parse_name, read

_MOST_CHECKED = 10_000  # units that are kept


@dataclass(frozen=True)
class Kind:
    """A kind of unit in a space: a frozen dataclass and distributions of its fields.

    Args:
        unit: Frozen dataclass with a class variable ``kind``.
        attributes: Distribution of each field; one that has a default may lack it and keeps the
            default.

    Raises:
        ValueError: If a field needs a distribution, or a distribution belongs to no field.

    Example:
        >>> @dataclass(frozen=True)
        ... class Smooth:
        ...     kind: ClassVar[str] = "smooth"
        ...     width: int
        >>> kind = Kind(Smooth, {"width": IntDistribution(1, 9)})
        >>> kind.name
        'smooth'
    """

    unit: type[Any]
    attributes: Distributions = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = sorted(f.name for f in fields(self.unit))
        needed = {
            f.name
            for f in fields(self.unit)
            if f.default is MISSING and f.default_factory is MISSING
        }
        if not needed <= set(self.attributes) <= set(names):
            raise ValueError(
                f"Kind {self.unit.__name__} has the fields {names}, but distributions for "
                f"{sorted(self.attributes)}."
            )

    @property
    def name(self) -> str:
        """The name of the kind."""
        return str(self.unit.kind)

    @cached_property
    def sorted_attributes(self) -> list[tuple[str, BaseDistribution]]:
        """The attributes by name."""
        return sorted(self.attributes.items())


@dataclass(frozen=True)
class SequenceSpace:
    """Sequences of typed units, spelt as ordinary parameters that any sampler can suggest.

    Args:
        kinds: The alphabet.
        min_length: Fewest units, at least 1.
        max_length: Most units.
        first: Names of the kinds allowed at position 0; all if ``None``.
        name: Prefix of the parameter names.

    Raises:
        ValueError: If the lengths or ``first`` are impossible.

    Example:
        >>> @dataclass(frozen=True)
        ... class Smooth:
        ...     kind: ClassVar[str] = "smooth"
        ...     width: int
        >>> space = SequenceSpace((Kind(Smooth, {"width": IntDistribution(1, 9)}),), 1, 6)
        >>> params = space.encode((Smooth(3), Smooth(5)))
        >>> params["layers.length"], params["layers.1.smooth.width"]
        (2, 5)
        >>> space.decode(params)
        (Smooth(width=3), Smooth(width=5))
    """

    kinds: tuple[Kind, ...]
    min_length: int
    max_length: int
    first: tuple[str, ...] | None = None
    name: str = "layers"

    def __post_init__(self) -> None:
        if not 1 <= self.min_length <= self.max_length:
            raise ValueError(
                f"Lengths {self.min_length} to {self.max_length} are not possible; "
                "1 <= min_length <= max_length is needed."
            )
        names = [kind.name for kind in self.kinds]
        if not names or not set(self.first or names) <= set(names):
            raise ValueError(f"First kinds {self.first} are not among the kinds {names}.")

    def suggest(self, trial: optuna.trial.BaseTrial) -> tuple[Any, ...]:
        """Suggest a genome, one unit after the other, under any sampler.

        Raises:
            ValueError: If a value is out of its range, as a user may have enqueued it. The trial
                fails at once.
        """
        length = self._suggest(trial, Name(self.name), self._lengths)
        return tuple(self._suggest_unit(trial, i) for i in range(length))

    def _suggest_unit(self, trial: optuna.trial.BaseTrial, position: int) -> Unit:
        name = self._suggest(trial, Name(self.name, position), self._kinds_at(position))
        kind = self._kind(name)
        return kind.unit(  # type: ignore[no-any-return]
            **{
                attribute: self._suggest(trial, Name(self.name, position, name, attribute), gene)
                for attribute, gene in kind.attributes.items()
            }
        )

    @staticmethod
    def _suggest(trial: optuna.trial.BaseTrial, name: Name, distribution: BaseDistribution) -> Any:
        value = suggest(trial, str(name), distribution)
        _check(str(name), value, distribution)
        return value

    def encode(self, genome: Sequence[Unit]) -> dict[str, Value]:
        """Spell a genome as parameters; it inverts :meth:`decode`.

        Raises:
            ValueError: If the genome is not in this space.
        """
        params: dict[str, Value] = {str(Name(self.name)): len(genome)}
        _check(str(Name(self.name)), len(genome), self._lengths)
        for i, unit in enumerate(genome):
            place = f"{self.name}.{i}"
            _check(f"{place}.kind", unit.kind, self._kinds_at(i))
            params[f"{place}.kind"] = unit.kind
            kind = self._kind(unit.kind)
            if not self._has(unit):
                self._check_unit(place, unit, kind)
            for attribute, _ in kind.sorted_attributes:
                params[f"{place}.{kind.name}.{attribute}"] = getattr(unit, attribute)
        return params

    def _has(self, unit: Unit) -> bool:
        """Return whether a unit was checked before; most are spelt often."""
        try:
            return unit in self._checked
        except TypeError:  # an attribute without a hash
            return False

    def _check_unit(self, place: str, unit: Unit, kind: Kind) -> None:
        _refuse_other_defaults(unit, kind)
        for attribute, distribution in kind.sorted_attributes:
            _check(f"{place}.{kind.name}.{attribute}", getattr(unit, attribute), distribution)
        if len(self._checked) >= _MOST_CHECKED:
            self._checked.clear()
        with suppress(TypeError):
            self._checked.add(unit)

    @cached_property
    def _checked(self) -> set[Unit]:
        """Units of this space."""
        return set()

    def decode(self, params: Params) -> tuple[Any, ...]:
        """Read a genome from parameters; other parameters are ignored.

        Raises:
            ValueError: If the parameters do not spell a sequence of this space.
        """
        units = read(params, self._sequences).sequences.get(self.name, ())
        values = [dict(gene.attributes) for gene in units]
        kinds = [self._kind(gene.kind) for gene in units]
        spelt = all(k.attributes.keys() == v.keys() for k, v in zip(kinds, values, strict=True))
        if not units or not spelt or len(units) != params.get(str(Name(self.name))):
            raise ValueError(f"The parameters {dict(params)} do not spell '{self.name}' whole.")
        return tuple(k.unit(**v) for k, v in zip(kinds, values, strict=True))

    def distributions(self, params: Params) -> dict[str, BaseDistribution]:
        """Return the distribution of each parameter of this sequence, as `create_trial` needs."""
        return {name: self._distribution(p) for name in params if (p := self._own(name))}

    def _own(self, name: str) -> Name | None:
        p = parse_name(name)
        return p if p is not None and p.sequence == self.name else None

    def _distribution(self, name: Name) -> BaseDistribution:
        if name.position is None:
            return self._lengths
        if name.kind is None:
            return self._kinds_at(name.position)
        return self._kind(name.kind).attributes[str(name.attribute)]

    @cached_property
    def _lengths(self) -> IntDistribution:
        return IntDistribution(self.min_length, self.max_length)

    @cached_property
    def _first_kinds(self) -> CategoricalDistribution:
        return CategoricalDistribution(self.first or list(self._by_name))

    @cached_property
    def _later_kinds(self) -> CategoricalDistribution:
        return CategoricalDistribution(list(self._by_name))

    def _kinds_at(self, position: int) -> CategoricalDistribution:
        return self._first_kinds if position == 0 else self._later_kinds

    @cached_property
    def _sequences(self) -> Sequences:
        return {self.name: frozenset(self._by_name)}

    @cached_property
    def _by_name(self) -> dict[str, Kind]:
        return {kind.name: kind for kind in self.kinds}

    def _kind(self, name: str) -> Kind:
        if name not in self._by_name:
            raise ValueError(f"Kind {name!r} is not in the space; it has {sorted(self._by_name)}.")
        return self._by_name[name]


def _check(name: str, value: Value, distribution: BaseDistribution) -> None:
    """Check a value against its range, which integers, floats and choices have.

    Raises:
        ValueError: If the value is out of the range.
    """
    if not holds(distribution, value):
        raise ValueError(f"{name} is {value!r}, which is not in the space's {distribution}.")


def _refuse_other_defaults(unit: Unit, kind: Kind) -> None:
    """Refuse a unit whose attributes without a distribution differ from the space's defaults."""
    if len(kind.attributes) == len(fields(kind.unit)):
        return
    default = kind.unit(**{name: getattr(unit, name) for name in kind.attributes})
    if default != unit:
        raise ValueError(f"{unit!r} differs from the space's defaults, {default!r}.")
