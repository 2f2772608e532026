"""First networks of a search, before and after their reductions followed from the images' side.

Run ``python -m benchmarks.fit.first_networks --save``. It draws networks of one region for each
side, and prices them; nothing is trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.common.results import Row, header, markdown, results_of, write
from optuna_de.cnn.architecture.genomes import side_after
from optuna_de.cnn.architecture.prices import PARAMETERS, Limit
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.architecture.space import CNNSpace

RESULTS = results_of(__file__)
SIDES = (8, 28, 32, 64, 96, 224)
REGION = Region(10_000, 500_000)
CLASSES = 10


def drawn(side: int, version: int, count: int) -> Row:
    """Draw networks for images of a side, and return quartiles of what they are."""
    limits = (Limit(PARAMETERS, REGION.max_parameters),)
    low = REGION.min_parameters
    space = CNNSpace((3, side, side), CLASSES, min_parameters=low, limits=limits, version=version)
    rng = np.random.default_rng(0)
    networks = [space.initial(rng) for _ in range(count)]
    sizes = np.array([space.count_parameters(params) for params in networks])
    macs = np.array([space.count_macs(params) for params in networks])
    sides, units = [], []
    for params in networks:
        genome, last = space.decode(params), side
        for unit in genome:
            last = side_after(unit, last)
        sides.append(last)
        units.append(len(genome) - 1)
    return {
        **{"side": side, "version": version, "parameters": _quartiles([*sizes])},
        **{"MACs, millions": _quartiles([*macs / 1e6]), "mean": f"{macs.mean() / 1e6:.3g}"},
        **{"MACs a parameter": _quartiles([*macs / sizes]), "last side": _quartiles(sides)},
        "units": _quartiles(units),
        "in the region": f"{np.mean([REGION.has_size(n) for n in sizes]):.0%}",
    }


def _quartiles(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:,.3g} [{low:,.3g}, {high:,.3g}]"


def table(_: Row, rows: Sequence[Row]) -> str:
    """Return the table of one result file."""
    return markdown([*rows[0]], [[*row.values()] for row in rows])


def main() -> None:
    """Draw the networks, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    rows = [drawn(side, version, args.count) for side in SIDES for version in (1, 2)]
    print(table({}, rows))
    if args.save:
        write(RESULTS / "first_networks.jsonl", header(args.count), rows)


if __name__ == "__main__":
    main()
