"""Encoding of genomes as Optuna parameters: the only file that writes or reads their names.

A sequence ``layers`` of units is spelt ``layers.length``, ``layers.3.kind``,
``layers.3.conv.channels``; every other parameter is a flat gene. A sequence is recognised by its
distributions, never by names alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, takewhile

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial

from optuna_de.evolution.genome import Gene, Genome, Interval, Value, without_nan
from optuna_de.evolution.variation import Alphabet, Catalog
from optuna_de.search_space.distributions import Distributions, Params, hull, range_of

_SPELLING = re.compile(
    r"(?P<sequence>.+)\.(?:(?P<length>length)|(?P<position>0|[1-9][0-9]{0,8})\."
    r"(?:(?P<is_kind>kind)|(?P<kind>[^.]+)\.(?P<attribute>[^.]+)))"
)
Sequences = Mapping[str, frozenset[str]]
"""Sequences of a study by name, each with the kinds that its units have."""


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
    """Take a parameter name apart; ``None`` if it cannot belong to a sequence."""
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


def find_sequences(distributions: Distributions) -> Sequences:
    """Return the sequences among the parameters of a study; all other parameters are flat genes.

    A sequence has a length with integer values, a kind at position 0, and at every position a
    kind whose choices are texts. Names that only look alike do not make a sequence.
    """
    kinds: dict[str, list[BaseDistribution]] = defaultdict(list)
    for name, distribution in distributions.items():
        p = parse_name(name)
        if p is not None and p.position is not None and p.kind is None:
            kinds[p.sequence].append(distribution)
    return {
        sequence: frozenset(kind for d in spelt for kind in d.choices)  # type: ignore[attr-defined]
        for sequence, spelt in sorted(kinds.items())
        if isinstance(distributions.get(str(Name(sequence))), IntDistribution)
        and str(Name(sequence, 0)) in distributions
        and all(map(_has_texts, spelt))
    }


def _has_texts(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, CategoricalDistribution) and all(
        isinstance(choice, str) for choice in distribution.choices
    )


def read(params: Params, sequences: Sequences) -> Genome:
    """Read a genome from parameters; it inverts :func:`write`.

    A sequence is read up to its length or to the first unit that is not spelt; parameters of
    units beyond its length or of another kind are not part of the genome.

    Args:
        params: Parameters of a trial.
        sequences: The sequences of its study, see :func:`find_sequences`.
    """
    if nans := [name for name, value in params.items() if value != value]:
        params = {**params, **{name: without_nan(params[name]) for name in nans}}
    spelt = {s: kinds for s, kinds in sequences.items() if _is_spelt(s, params)}
    if not spelt:
        return Genome(dict(params), {})
    flat: dict[str, Value] = {}
    attributes: dict[tuple[str, int | None, str], list[tuple[str, Value]]] = defaultdict(list)
    for name, value in params.items():
        p = parse_name(name)
        if p is None or not _belongs(p, spelt):
            flat[name] = value
        elif p.kind is not None:
            attributes[p.sequence, p.position, p.kind].append((str(p.attribute), value))
    return Genome(flat, {s: _read_units(s, params, attributes) for s in spelt})


def _belongs(name: Name, sequences: Sequences) -> bool:
    """Return whether a name is one of a sequence; a kind that no unit has makes it a flat gene."""
    return name.sequence in sequences and (
        name.kind is None or name.kind in sequences[name.sequence]
    )


def _is_spelt(sequence: str, params: Mapping[str, object]) -> bool:
    return f"{sequence}.length" in params and f"{sequence}.0.kind" in params


def _read_units(
    sequence: str,
    params: Params,
    attributes: Mapping[tuple[str, int | None, str], list[tuple[str, Value]]],
) -> tuple[Gene, ...]:
    """Read units up to the length, which a user may have enqueued as any number."""
    length, units = params[f"{sequence}.length"], list[Gene]()
    while len(units) < length:  # type: ignore[operator]
        i = len(units)
        kind = params.get(f"{sequence}.{i}.kind")
        if kind is None:
            break
        units.append(Gene(str(kind), tuple(sorted(attributes.get((sequence, i, str(kind)), ())))))
    return tuple(units)


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


def catalog(distributions: Distributions, sequences: Sequences) -> Catalog:
    """Sort the distributions of a study into flat genes and alphabets of sequences."""
    spelt = {s: kinds for s, kinds in sequences.items() if _is_spelt(s, distributions)}
    flat = {
        n: range_of(d)
        for n, d in distributions.items()
        if not ((p := parse_name(n)) and _belongs(p, spelt))
    }
    return Catalog(flat, {s: _alphabet(s, distributions, spelt) for s in spelt})


def read_trials(trials: Sequence[FrozenTrial]) -> tuple[list[Genome], Catalog]:
    """Return the genomes of trials and the ranges of all their genes."""
    merged: dict[str, BaseDistribution] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            merged[name] = hull(merged.get(name), distribution)
    sequences = find_sequences(merged)
    return [read(t.params, sequences) for t in trials], catalog(merged, sequences)


def _alphabet(sequence: str, distributions: Distributions, sequences: Sequences) -> Alphabet:
    names = map(str, (Name(sequence, i) for i in count()))
    kinds = [distributions[n] for n in takewhile(distributions.__contains__, names)]
    merged: dict[str, dict[str, BaseDistribution]] = defaultdict(dict)
    for name, distribution in distributions.items():
        p = parse_name(name)
        if p is not None and p.sequence == sequence and p.kind in sequences[sequence]:
            spans = merged[str(p.kind)]
            spans[str(p.attribute)] = hull(spans.get(str(p.attribute)), distribution)
    lengths = range_of(distributions[str(Name(sequence))])
    assert isinstance(lengths, Interval)
    return Alphabet(
        lengths,
        tuple(tuple(map(str, k.choices)) for k in kinds if isinstance(k, CategoricalDistribution)),
        {kind: {a: range_of(d) for a, d in spans.items()} for kind, spans in merged.items()},
    )
