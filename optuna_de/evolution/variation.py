"""Variation: a child of three parents, by mutation, crossover and random edits of genes.

Flat genes and attributes of units that agree in kind move by numeric differential evolution,
kinds by the seed's difference and add. Random edits (a unit inserted, removed or replaced, one
gene drawn anew) keep the gene pool open and let a sequence grow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from optuna_de._checks import require
from optuna_de.evolution.genome import (
    Choices,
    Gene,
    Genome,
    Interval,
    Range,
    Value,
    combine,
    difference,
)
from optuna_de.evolution.rates import Rates

SCALE_LIMIT = 0.9  # F of a child with a base is uniform below it
INDEX = 20.0  # of the distribution of a polynomial mutation


@dataclass(frozen=True, slots=True)
class Alphabet:
    """Alphabet of a sequence for random edits: kinds by position, ranges of their genes.

    Args:
        lengths: Range of its length.
        kinds: Allowed kinds by position; positions beyond the last share the last entry.
        attributes: Range of every attribute seen, by kind and name.
    """

    lengths: Interval
    kinds: tuple[tuple[str, ...], ...]
    attributes: Mapping[str, Mapping[str, Range]]

    def allowed(self, position: int) -> tuple[str, ...]:
        """Return the kinds allowed at a position."""
        return self.kinds[min(position, len(self.kinds) - 1)]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Ranges of all genes, for their variation."""

    flat: Mapping[str, Range]
    sequences: Mapping[str, Alphabet]


@dataclass(frozen=True, slots=True)
class Variation:
    """Control parameters of differential evolution.

    Args:
        scale: Factor F on numeric differences, ``>= 0``; 0 inherits numeric genes whole.
        crossover: Probability CR in ``[0, 1]`` that a gene takes part in the mutation.
        mutation: Expected number of genes of a child that are edited at random, ``>= 0``.
        categories: Rates of flat categories, where they differ from those of numbers.
        units: Rates of the units of sequences, where they differ.

    Raises:
        ValueError: Where one is out of its range.
    """

    scale: float
    crossover: float
    mutation: float
    categories: Rates | None = None
    units: Rates | None = None

    def __post_init__(self) -> None:
        require(self.scale >= 0, "scale", self.scale, "at least 0")
        require(0 <= self.crossover <= 1, "crossover", self.crossover, "in [0, 1]")
        require(self.mutation >= 0, "mutation", self.mutation, "at least 0")

    @property
    def rates(self) -> Rates:
        """The rates of numbers, and of all genes that have none of their own."""
        return Rates(self.crossover, self.mutation)

    def rates_of(self, span: Range | None) -> Rates:
        """Return the rates of a flat gene, by its range."""
        own = self.categories if isinstance(span, Choices) else None
        return own or self.rates


def draw(span: Range, rng: np.random.Generator) -> Value:
    """Draw a value uniformly from a range (log-uniformly from a logarithmic one)."""
    if isinstance(span, Choices):
        return span.values[int(rng.random() * len(span.values))]
    return span.from_unit(rng.random())


def vary(
    parents: tuple[Genome, Genome, Genome],
    catalog: Catalog,
    variation: Variation,
    rng: np.random.Generator,
    *,
    base: Genome | None = None,
    forced: int = 0,
    index: float | None = None,
) -> Genome:
    """Return the child of ``(best, r1, r2)``.

    Args:
        parents: The genomes ``(best, r1, r2)``.
        catalog: Ranges of all genes.
        variation: Control parameters.
        rng: The generator of the child.
        base: A fourth genome: a flat numeric gene that takes part comes from
            ``base + F (r1 - r2)``, with one ``F`` a child, uniform in ``(0, SCALE_LIMIT)``; the
            others stay those of ``best`` (DE/rand/1/bin; F as in GDE3, Kukkonen and Lampinen,
            2005). ``None``: it comes from ``best + scale (r1 - r2)``.
        forced: Random edits more than usual.
        index: If a number, as many flat numbers as are edited at random are moved a little, too,
            by polynomial mutation with this index of its distribution.
    """
    best, a, b = parents
    moved = (best, variation.scale) if base is None else (base, SCALE_LIMIT * rng.random())
    names = list({**best.flat, **a.flat, **b.flat})
    rates = [variation.rates_of(catalog.flat.get(name)) for name in names]
    units = variation.units or variation.rates
    unit_count = sum(map(len, best.sequences.values()))
    expected = [*(r.mutation for r in rates), *[units.mutation] * unit_count]
    edits = iter(_choose_edits(expected, forced, rng))
    flat = {
        name: draw(catalog.flat[name], rng)
        if next(edits) and name in catalog.flat
        else _vary_value(name, parents, moved, catalog, own.crossover, rng)
        for name, own in zip(names, rates, strict=True)
    }
    if index is not None:
        flat = _moved_a_little(flat, catalog, variation.mutation / len(expected), index, rng)
    sequences = {
        name: _vary_sequence(
            (genes, a.sequences.get(name, ()), b.sequences.get(name, ())),
            catalog.sequences[name],
            (units.crossover, variation.scale),
            [next(edits) for _ in genes],
            rng,
        )
        for name, genes in best.sequences.items()
    }
    return Genome(flat, sequences)


def _moved_a_little(
    flat: Mapping[str, Value],
    catalog: Catalog,
    share: float,
    index: float,
    rng: np.random.Generator,
) -> dict[str, Value]:
    """Move some flat numbers by polynomial mutation, each with a probability."""
    moved = dict(flat)
    for name, chance in zip(flat, rng.random(len(flat)).tolist(), strict=True):
        span = catalog.flat.get(name)
        if chance < share and isinstance(span, Interval):
            step = float(polynomial_steps(rng.random(1), index)[0])
            unit = span.to_unit(flat[name]) + step  # type: ignore[arg-type]
            moved[name] = span.from_unit(min(max(unit, 0.0), 1.0))
    return moved


def polynomial_steps(uniform: NDArray[np.float64], index: float = INDEX) -> NDArray[np.float64]:
    """Return steps of a polynomial mutation in (-1, 1), of numbers in [0, 1).

    Deb and Agrawal (1999), *A Niched-Penalty Approach for Constraint Handling in Genetic
    Algorithms*. The larger the index, the shorter the steps. A number that passes a bound stops
    there, so that an optimum on a bound is hit.
    """
    length = 1 - (2 * np.minimum(uniform, 1 - uniform)) ** (1 / (index + 1))
    return np.copysign(length, uniform - 0.5)


def _choose_edits(expected: Sequence[float], forced: int, rng: np.random.Generator) -> list[bool]:
    """Choose which genes are edited, each with its expected number a child, and some more.

    Args:
        expected: Of each gene, edits of a child if all genes were of its kind.
        forced: Edits more.
        rng: The generator of the child.
    """
    size = len(expected)
    chosen: list[bool] = (rng.random(size) * size < np.array(expected)).tolist()
    for position in (rng.random(forced) * size).astype(int):
        chosen[position] = True
    return chosen


def _vary_value(
    name: str,
    parents: tuple[Genome, Genome, Genome],
    moved: tuple[Genome, float],
    catalog: Catalog,
    crossover: float,
    rng: np.random.Generator,
) -> Value:
    """Vary one flat gene; a conditional gene that some parent lacks is inherited whole.

    ``moved`` are the genome whose numbers the difference moves, and the factor F.
    """
    holders = [p.flat[name] for p in parents if name in p.flat]
    if len(holders) < 3 or rng.random() >= crossover:
        return holders[0]
    best, a, b = holders
    span, (base, scale) = catalog.flat.get(name), moved
    start = base.flat.get(name, best) if isinstance(span, Interval) else best
    return combine(start, a, b, span, scale)


def _vary_sequence(
    parents: tuple[tuple[Gene, ...], tuple[Gene, ...], tuple[Gene, ...]],
    alphabet: Alphabet,
    moving: tuple[float, float],
    edits: Sequence[bool],
    rng: np.random.Generator,
) -> tuple[Gene, ...]:
    """Vary a sequence; ``moving`` are the crossover rate CR and the factor F."""
    (best, a, b), (crossover, scale) = parents, moving
    child: list[Gene] = []
    delta = difference(a, b)[: len(best)]
    for i, (unit, d, edit) in enumerate(zip_longest(best, delta, edits)):
        crossed = rng.random() < crossover
        moved = d or _move(unit, a[i:], b[i:], alphabet, scale) if crossed else unit
        child += _edit(moved, len(child), alphabet, rng) if edit else (moved,)
    return _fit(child, alphabet) or best


def _move(
    unit: Gene, a: Sequence[Gene], b: Sequence[Gene], alphabet: Alphabet, scale: float
) -> Gene:
    """Move the attributes of a unit by the difference of two units of its own kind."""
    if not (a and b and unit.kind == a[0].kind == b[0].kind):
        return unit
    plus, minus = dict(a[0].attributes), dict(b[0].attributes)
    spans = alphabet.attributes.get(unit.kind, {})
    moved = (
        (name, combine(value, plus.get(name, value), minus.get(name, value), spans[name], scale))
        for name, value in unit.attributes
    )
    return Gene(unit.kind, tuple(moved))


def _edit(
    unit: Gene, position: int, alphabet: Alphabet, rng: np.random.Generator
) -> tuple[Gene, ...]:
    """Insert, remove, replace or change a unit, each with the same probability."""
    match int(rng.random() * 4):
        case 0:
            return (unit, random_unit(position + 1, alphabet, rng))
        case 1:
            return ()
        case 2:
            return (random_unit(position, alphabet, rng),)
        case _:
            return (_redraw(unit, alphabet, rng),)


def random_unit(position: int, alphabet: Alphabet, rng: np.random.Generator) -> Gene:
    """Draw a unit: a kind that the position allows, then its attributes."""
    kind = draw(Choices(alphabet.allowed(position)), rng)
    spans = alphabet.attributes.get(str(kind), {})
    return Gene(str(kind), tuple((name, draw(span, rng)) for name, span in sorted(spans.items())))


def _redraw(unit: Gene, alphabet: Alphabet, rng: np.random.Generator) -> Gene:
    """Draw one attribute of a unit anew."""
    if not unit.attributes:
        return unit
    chosen = unit.attributes[int(rng.random() * len(unit.attributes))][0]
    spans = alphabet.attributes[unit.kind]
    return Gene(
        unit.kind,
        tuple((n, draw(spans[n], rng) if n == chosen else v) for n, v in unit.attributes),
    )


def _fit(units: Sequence[Gene], alphabet: Alphabet) -> tuple[Gene, ...]:
    """Drop units their position does not allow, then cut; empty where the rest is too short."""
    kept: list[Gene] = []
    for unit in units:
        if unit.kind in alphabet.allowed(len(kept)):
            kept.append(unit)
    kept = kept[: int(alphabet.lengths.high)]
    return tuple(kept) if len(kept) >= alphabet.lengths.low else ()
