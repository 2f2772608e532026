"""Rates of crossover and of mutation, learned from the children that survived. No Optuna.

Each child draws its rates near their memory and keeps them in its plan. The memory is the mean of
those whose children entered a full population, as JADE learns CR (Zhang and Sanderson, 2009,
*JADE: Adaptive Differential Evolution With Optional External Archive*, section III.C), and of the
rates that a study starts from. Pure; it is read back from the plans of recent trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RECENT = 100  # trials that the memory looks back on
PRIOR = 10.0  # survivors that the first rates weigh as much as
SPREAD = 0.1  # standard deviation of a crossover rate around the memory (JADE)
SPREAD_OF_LOG = 0.5  # of the logarithm of a mutation rate
LEAST, MOST = 0.05, 4.0  # of a drawn rate that is not 0; a crossover rate is at most 1


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of one kind of genes.

    Args:
        crossover: Probability CR in ``[0, 1]`` that a gene takes part in the difference.
        mutation: Expected number of genes of a child that are edited at random, ``>= 0``, if all
            of its genes were of this kind.
    """

    crossover: float
    mutation: float


def memory(first: Rates, survivors: Sequence[Rates]) -> Rates:
    """Return the mean of the survivors' rates and of those that a study starts from."""
    weight = PRIOR + len(survivors)
    return Rates(
        (PRIOR * first.crossover + sum([r.crossover for r in survivors])) / weight,
        (PRIOR * first.mutation + sum([r.mutation for r in survivors])) / weight,
    )


def near(centre: Rates, rng: np.random.Generator) -> Rates:
    """Draw a child's rates near the memory; a rate of 0 stays 0, as it closes the gene pool."""
    normal, of_log = rng.standard_normal(2).tolist()
    crossover = min(max(centre.crossover + SPREAD * normal, LEAST), 1.0)
    factor = float(np.exp(SPREAD_OF_LOG * of_log - SPREAD_OF_LOG**2 / 2))  # its mean is 1
    mutation = min(max(centre.mutation * factor, LEAST), MOST)
    return Rates(
        crossover if centre.crossover else 0.0,
        mutation if centre.mutation else 0.0,
    )
