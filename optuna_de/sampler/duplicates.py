"""Duplicate detection: which genomes trials have expressed. It holds hashes, not genomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

from optuna_de.evolution.genome import Genome


def is_part(part: Genome, whole: Genome) -> bool:
    """Return whether a genome equals another on its own flat genes."""
    return part.flat.keys() <= whole.flat.keys() and whole.spelling(part.flat) == part.spelling()


class FinishedGenomes:
    """Genomes of finished trials as one hash each; equal hashes are compared in full.

    Trials are grouped by their flat genes, because those of another branch do not count.

    Args:
        read: Reads the genome of a trial by its number.
    """

    def __init__(self, read: Callable[[int], Genome]) -> None:
        self._read = read
        self._groups: dict[frozenset[str], dict[int, int]] = {}
        self._key_of: dict[tuple[str, ...], frozenset[str]] = {}  # by names in order

    def add(self, number: int, genome: Genome) -> None:
        """Record a trial's genome; the first trial stands for its duplicates."""
        names = tuple(genome.flat)
        key = self._key_of.get(names)
        if key is None:
            key = self._key_of[names] = frozenset(names)
            self._groups.setdefault(key, {})
        group = self._groups[key]
        group.setdefault(self._slot(group, genome.spelling(), key), number)

    def has(self, genome: Genome) -> bool:
        """Return whether a recorded genome equals this one."""
        return self._has(genome, frozenset(genome.flat))

    def has_part_of(self, genome: Genome) -> bool:
        """Return whether a recorded genome equals this one on its own flat genes."""
        names = genome.flat.keys()
        return any(group <= names and self._has(genome, group) for group in self._groups)

    def _has(self, genome: Genome, names: frozenset[str]) -> bool:
        group = self._groups.get(names, {})
        return self._slot(group, genome.spelling(names), names) in group

    def _slot(self, group: dict[int, int], spelling: Hashable, names: frozenset[str]) -> int:
        """Return the slot of a genome, or the free one that it would take (linear probing)."""
        slot = hash(spelling)
        while slot in group and self._read(group[slot]).spelling(names) != spelling:
            slot += 1
        return slot


class RunningGenomes:
    """Genomes of running trials, counted by their flat genes and spelling."""

    def __init__(self) -> None:
        self._groups: dict[frozenset[str], Counter[Hashable]] = {}

    def add(self, genome: Genome) -> None:
        """Record the genome of one trial."""
        self._groups.setdefault(frozenset(genome.flat), Counter())[genome.spelling()] += 1

    def remove(self, genome: Genome) -> None:
        """Forget one record of a genome."""
        names, spelling = frozenset(genome.flat), genome.spelling()
        self._groups[names][spelling] -= 1
        if not self._groups[names][spelling]:
            del self._groups[names][spelling]
        if not self._groups[names]:
            del self._groups[names]

    def has_part_of(self, genome: Genome) -> bool:
        """Return whether a recorded genome equals this one on its own flat genes."""
        names = genome.flat.keys()
        return any(
            group <= names and genome.spelling(group) in spellings
            for group, spellings in self._groups.items()
        )
