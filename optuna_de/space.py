"""How genomes are spelt as Optuna parameters: the only file that writes or reads their names.

A sequence ``layers`` of units is spelt ``layers.length``, ``layers.3.kind``,
``layers.3.conv.channels``; every other parameter is a flat gene.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from itertools import count, takewhile
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from optuna_de.genome import Gene, Genome, Interval, Unit, Value
from optuna_de.ranges import Distributions, Params, holds, hull, range_of, suggest
from optuna_de.variation import Alphabet, Catalog

_SPELLING = re.compile(
    r"(?P<sequence>.+)\.(?:(?P<length>length)|(?P<position>\d+)\."
    r"(?:(?P<is_kind>kind)|(?P<kind>[^.]+)\.(?P<attribute>[^.]+)))"
)


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter name of a sequence, taken apart; ``kind`` is set for attributes only."""

    sequence: str
    position: int | None = None
    kind: str | None = None
    attribute: str | None = None

    def __str__(self) -> str:
        if self.position is None:
            return f"{self.sequence}.length"
        if self.kind is None:
            return f"{self.sequence}.{self.position}.kind"
        return f"{self.sequence}.{self.position}.{self.kind}.{self.attribute}"


@lru_cache(maxsize=65536)
def parse_name(name: str) -> Name | None:
    """Take a parameter name apart; ``None`` where it cannot belong to a sequence."""
    match = _SPELLING.fullmatch(name)
    if match is None:
        return None
    position = match["position"]
    return Name(
        match["sequence"],
        None if position is None else int(position),
        match["kind"],
        match["attribute"],
    )


def read(params: Params) -> Genome:
    """Read a genome from parameters; it inverts :func:`write`.

    A sequence is read up to its length or to the first unit that is not spelt; parameters of
    units beyond its length or of another kind are not part of the genome.
    """
    parsed = {name: parse_name(name) for name in params}
    names = {
        p.sequence for p in parsed.values() if p is not None and _is_spelt(p.sequence, params)
    }
    flat = {n: v for n, v in params.items() if (p := parsed[n]) is None or p.sequence not in names}
    if not names:
        return Genome(flat, {})
    attributes: dict[tuple[str, int | None, str], list[tuple[str, Value]]] = defaultdict(list)
    for name, p in parsed.items():
        if p is not None and p.attribute is not None:
            attributes[p.sequence, p.position, str(p.kind)].append((p.attribute, params[name]))
    return Genome(flat, {s: _read_units(s, params, attributes) for s in sorted(names)})


def _is_spelt(sequence: str, params: Mapping[str, object]) -> bool:
    return str(Name(sequence)) in params and str(Name(sequence, 0)) in params


def _read_units(
    sequence: str,
    params: Params,
    attributes: Mapping[tuple[str, int | None, str], list[tuple[str, Value]]],
) -> tuple[Gene, ...]:
    length = int(params[str(Name(sequence))])  # type: ignore[arg-type]
    kinds = (params.get(str(Name(sequence, i))) for i in range(length))
    return tuple(
        Gene(str(kind), tuple(sorted(attributes.get((sequence, i, str(kind)), ()))))
        for i, kind in enumerate(takewhile(lambda kind: kind is not None, kinds))
    )


def write(genome: Genome) -> dict[str, Value]:
    """Spell a genome as parameters."""
    params = dict(genome.flat)
    for sequence, units in genome.sequences.items():
        params[str(Name(sequence))] = len(units)
        for i, unit in enumerate(units):
            params[str(Name(sequence, i))] = unit.kind
            for attribute, value in unit.attributes:
                params[str(Name(sequence, i, unit.kind, attribute))] = value
    return params


def catalog(distributions: Distributions) -> Catalog:
    """Sort the distributions of a study into flat genes and alphabets of sequences."""
    parsed = {name: parse_name(name) for name in distributions}
    sequences = {p.sequence for p in parsed.values() if p and _is_spelt(p.sequence, distributions)}
    flat = {
        n: range_of(d)
        for n, d in distributions.items()
        if not ((p := parsed[n]) and p.sequence in sequences)
    }
    return Catalog(flat, {s: _alphabet(s, distributions) for s in sorted(sequences)})


def _alphabet(sequence: str, distributions: Distributions) -> Alphabet:
    names = map(str, (Name(sequence, i) for i in count()))
    kinds = [distributions[n] for n in takewhile(distributions.__contains__, names)]
    merged: dict[str, dict[str, BaseDistribution]] = defaultdict(dict)
    for name, distribution in distributions.items():
        p = parse_name(name)
        if p is not None and p.sequence == sequence and p.kind is not None:
            spans = merged[p.kind]
            spans[str(p.attribute)] = hull(spans.get(str(p.attribute)), distribution)
    lengths = range_of(distributions[str(Name(sequence))])
    assert isinstance(lengths, Interval)
    return Alphabet(
        lengths,
        tuple(tuple(map(str, k.choices)) for k in kinds if isinstance(k, CategoricalDistribution)),
        {kind: {a: range_of(d) for a, d in spans.items()} for kind, spans in merged.items()},
    )


@dataclass(frozen=True)
class Kind:
    """A kind of unit in a space: a frozen dataclass and one distribution per field.

    Args:
        unit: Frozen dataclass with a class variable ``kind``.
        attributes: Distribution of each of its fields.

    Raises:
        ValueError: Where the fields and the distributions do not have the same names.
    """

    unit: type[Any]
    attributes: Distributions = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = sorted(f.name for f in fields(self.unit))
        if names != sorted(self.attributes):
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
        genes = tuple(Gene(unit.kind, tuple(sorted(asdict(unit).items()))) for unit in genome)  # type: ignore[call-overload]
        params = write(Genome({}, {self.name: genes}))
        for name, distribution in self.distributions(params).items():
            if not holds(distribution, params[name]):
                raise ValueError(
                    f"{name} is {params[name]!r}, which is not in the space's {distribution}."
                )
        return params

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
