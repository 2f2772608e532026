"""Encoding of genomes as Optuna parameters: the only file that writes or reads their names.

A sequence ``layers`` of units is spelt ``layers.length``, ``layers.3.kind``,
``layers.3.conv.channels``; every other parameter is a flat gene.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, takewhile

from optuna.distributions import BaseDistribution, CategoricalDistribution

from optuna_de.evolution.genome import Gene, Genome, Interval, Value
from optuna_de.evolution.variation import Alphabet, Catalog
from optuna_de.search_space.distributions import Distributions, Params, hull, range_of

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
