"""Sequence spaces: kinds of units and lengths, suggested under any Optuna sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from optuna_de.evolution.genome import Gene, Genome, Unit, Value
from optuna_de.search_space.distributions import Distributions, Params, holds, suggest
from optuna_de.search_space.encoding import Name, parse_name, read, write


@dataclass(frozen=True)
class Kind:
    """A kind of unit in a space: a frozen dataclass and distributions of its fields.

    Args:
        unit: Frozen dataclass with a class variable ``kind``.
        attributes: Distribution of each field; one that has a default may lack it and keeps the
            default.

    Raises:
        ValueError: If a field needs a distribution, or a distribution belongs to no field.
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


@dataclass(frozen=True)
class SequenceSpace:
    """Sequences of typed units, spelt as ordinary parameters that any sampler can suggest.

    Args:
        kinds: The alphabet.
        min_length: Fewest units, at least 1.
        max_length: Most units.
        first: Names of the kinds allowed at position 0; all where ``None``.
        name: Prefix of the parameter names.

    Raises:
        ValueError: Where the lengths or ``first`` are impossible.
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
        """Suggest a genome, one unit after the other, under any sampler."""
        length = suggest(trial, str(Name(self.name)), self._lengths())
        return tuple(self._suggest_unit(trial, i) for i in range(length))

    def _suggest_unit(self, trial: optuna.trial.BaseTrial, position: int) -> Unit:
        name = suggest(trial, str(Name(self.name, position)), self._kinds_at(position))
        kind = self._kind(name)
        return kind.unit(  # type: ignore[no-any-return]
            **{
                attribute: suggest(trial, str(Name(self.name, position, name, attribute)), d)
                for attribute, d in kind.attributes.items()
            }
        )

    def encode(self, genome: Sequence[Unit]) -> dict[str, Value]:
        """Spell a genome as parameters; it inverts :meth:`decode`.

        Raises:
            ValueError: Where the genome is not in this space.
        """
        genes = tuple(self._gene(unit) for unit in genome)
        params = write(Genome({}, {self.name: genes}))
        for name, distribution in self.distributions(params).items():
            if not holds(distribution, params[name]):
                raise ValueError(
                    f"{name} is {params[name]!r}, which is not in the space's {distribution}."
                )
        return params

    def _gene(self, unit: Unit) -> Gene:
        """Return a unit as a gene of the attributes that have a distribution."""
        kind = self._kind(unit.kind)
        values = {name: getattr(unit, name) for name in kind.attributes}
        if kind.unit(**values) != unit:
            raise ValueError(
                f"{unit!r} differs from the space's defaults, {kind.unit(**values)!r}."
            )
        return Gene(unit.kind, tuple(sorted(values.items())))

    def decode(self, params: Params) -> tuple[Any, ...]:
        """Read a genome from parameters; other parameters are ignored.

        Raises:
            ValueError: Where the parameters do not spell a sequence of this space.
        """
        units = read(params).sequences.get(self.name, ())
        spelt = all(
            self._kind(g.kind).attributes.keys() == dict(g.attributes).keys() for g in units
        )
        if not units or not spelt or len(units) != params.get(str(Name(self.name))):
            raise ValueError(f"The parameters {dict(params)} do not spell '{self.name}' whole.")
        return tuple(self._kind(gene.kind).unit(**dict(gene.attributes)) for gene in units)

    def distributions(self, params: Params) -> dict[str, BaseDistribution]:
        """Return the distribution of each parameter of this sequence, as `create_trial` needs."""
        return {name: self._distribution(p) for name in params if (p := self._own(name))}

    def _own(self, name: str) -> Name | None:
        p = parse_name(name)
        return p if p is not None and p.sequence == self.name else None

    def _distribution(self, name: Name) -> BaseDistribution:
        if name.position is None:
            return self._lengths()
        if name.kind is None:
            return self._kinds_at(name.position)
        return self._kind(name.kind).attributes[str(name.attribute)]

    def _lengths(self) -> IntDistribution:
        return IntDistribution(self.min_length, self.max_length)

    def _kinds_at(self, position: int) -> CategoricalDistribution:
        first = self.first if position == 0 else None
        return CategoricalDistribution(first or [kind.name for kind in self.kinds])

    def _kind(self, name: str) -> Kind:
        known = {kind.name: kind for kind in self.kinds}
        if name not in known:
            raise ValueError(f"Kind {name!r} is not in the space; it has {sorted(known)}.")
        return known[name]
