"""Rungs as fidelities: how well does screening's model rank new networks, given stopped ones?

Run ``python -m benchmarks.screening.fidelities --save``. Recorded curves of
:mod:`benchmarks.halving.record_curves` are replayed: networks arrive in a random order and climb
rungs of 3, 9 and 27 epochs by the ladder's rule. Then Gaussian processes learn from them and rank
the networks that were kept out; Spearman's correlation with their last errors counts. The ways to
learn are

- ``complete``: from the networks of the last rung alone,
- ``extrapolated``: from the others, too, by the median factor to the last rung,
- ``feature``: the same with the rung as a feature, asked at the last (as shipped),
- ``rows``: each rung of each network is a row with its own error and the rung as a feature,
- ``both``: the same with errors extrapolated by the median factor.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from benchmarks.common.results import Array, Row, header, markdown, results_of, write
from benchmarks.halving.replay import MINIMIZE
from benchmarks.halving.replay import RESULTS as CURVES
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.units import AvgPool, Conv, MaxPool
from optuna_de.evolution.genome import Gene, Genome, Interval
from optuna_de.evolution.variation import Alphabet, Catalog
from optuna_de.halving import Halving, rate_margin
from optuna_de.screening.features import features
from optuna_de.screening.gaussian_process import Model, most_likely
from optuna_de.screening.surrogate import LENGTHS, NOISES
from optuna_de.screening.transforms import extrapolate_losses
from optuna_de.search_space.distributions import range_of

RESULTS = results_of(__file__)
RUNGS = (3, 9, 27)
HALVING = Halving((1, 2), reduction_factor=3, full_share=0.0)
SETS = ("cifar16", "digits")
WAYS = ("complete", "extrapolated", "feature", "rows", "both")
SMOOTHNESS = 1.5


@dataclass(frozen=True)
class Networks:
    """Recorded networks of one alphabet: features (n, d), errors (n, 3) at rungs, sizes (n,)."""

    x: Array
    errors: Array
    sizes: Array
    images: int


def load(data: str, alphabet: str) -> Networks:
    """Read the networks of one alphabet."""
    head, *rows = map(json.loads, (CURVES / f"curves_{data}.jsonl").read_text().splitlines())
    rows = [row for row in rows if row["alphabet"] == alphabet]
    genomes = [Genome({}, {"layers": _genes(row["architecture"])}) for row in rows]
    x = features(genomes, Catalog({}, {"layers": _alphabet()}))
    sizes = np.log([row["parameters"] for row in rows])
    scaled = (sizes - sizes.min()) / np.ptp(sizes)
    errors = np.array([[row["errors"][epoch - 1] for epoch in RUNGS] for row in rows])
    return Networks(np.column_stack([x, scaled]), errors, sizes, head["validation"])


def _genes(text: str) -> tuple[Gene, ...]:
    return tuple(
        Gene(unit.kind, tuple((name, getattr(unit, name)) for name in sorted(unit.distributions)))
        for unit in parse(text)
    )


def _alphabet() -> Alphabet:
    """Return kinds and ranges of the seed's units, which both alphabets spell alike."""
    spans = {name: range_of(span) for name, span in Conv.distributions.items()}
    kinds = (Conv.kind, MaxPool.kind, AvgPool.kind)
    return Alphabet(Interval(1, 12, True), (kinds,), {Conv.kind: spans})


def reached(networks: Networks, order: Sequence[int]) -> list[int]:
    """Return the rung, from 0, at which each network of an order ends."""
    records: list[list[tuple[float, ...]]] = [[], []]
    ends = []
    for number, i in enumerate(order):
        at = 0
        while at < 2:
            error, size = networks.errors[i, at], networks.sizes[i]
            doubt = rate_margin(error, networks.images, RUNGS[at] / RUNGS[-1])
            stop = HALVING.decide((error - doubt, size), records[at], MINIMIZE, number)
            records[at].append((error, size))
            if stop:
                break
            at += 1
        ends.append(at)
    return ends


def learned(
    networks: Networks, order: Sequence[int], ends: Sequence[int], way: str
) -> tuple[Array, Array]:
    """Return what a model learns from: features, the rung's column last, and log errors."""
    rows, losses = [], []
    pairs: dict[int, list[tuple[tuple[float, ...], tuple[float, ...]]]] = {0: [], 1: []}
    for i, end in zip(order, ends, strict=True):
        if end == 2:
            for at in pairs:
                pairs[at].append(((networks.errors[i, at],), (networks.errors[i, 2],)))
    for i, end in zip(order, ends, strict=True):
        if way == "complete" and end < 2:
            continue
        for at in range(end + 1) if way in ("rows", "both") else (end,):
            error = networks.errors[i, at]
            if way in ("extrapolated", "feature", "both") and at < 2:
                (error,) = extrapolate_losses((error,), pairs[at])
            column = (2 - at) / 2 if way in ("feature", "rows", "both") else 0.0
            rows.append([*networks.x[i], column])
            losses.append(np.log(max(error, 1e-3)))
    return np.array(rows), np.array(losses)


def ranked(networks: Networks, rng: np.random.Generator, held: int) -> dict[str, float]:
    """Return Spearman's correlation of each way on networks that are kept out of one draw."""
    order = [int(i) for i in rng.permutation(len(networks.sizes))]
    out, order = order[:held], order[held:]
    ends = reached(networks, order)
    asked = np.column_stack([networks.x[out], np.zeros(held)])
    correlations = {}
    for way in WAYS:
        x, y = learned(networks, order, ends, way)
        theta = most_likely(x, y, SMOOTHNESS, LENGTHS, NOISES)
        mean, _ = Model.fit(x, y, SMOOTHNESS, theta).predict(asked)
        correlations[way] = float(spearmanr(mean, networks.errors[out, 2]).statistic)
    return correlations


def rows_of(draws: int, held: int) -> list[Row]:
    """Return a row for each set and alphabet."""
    rows = []
    for data in SETS:
        for alphabet in ("norms", "seed"):
            networks = load(data, alphabet)
            correlations = [ranked(networks, np.random.default_rng(s), held) for s in range(draws)]
            row: Row = {"data": data, "alphabet": alphabet, "networks": len(networks.sizes)}
            for way in WAYS:
                values = np.array([f[way] for f in correlations])
                gains = values - np.array([f["extrapolated"] for f in correlations])
                row[way] = round(float(np.nanmean(values)), 3)
                if way != "extrapolated":
                    low, high = np.nanpercentile(gains, [25, 75])
                    row[f"{way} - extrapolated, quartiles"] = f"{low:+.3f} to {high:+.3f}"
            rows.append(row)
            print(row, flush=True)
    return rows


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of one result file."""
    names = [*rows[0]]
    return markdown(names, [[str(row[name]) for name in names] for row in rows])


def main() -> None:
    """Compare the ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--held", type=int, default=12)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    rows = rows_of(args.draws, args.held)
    if args.save:
        write(RESULTS / "fidelities.jsonl", header(args.draws, held=args.held), rows)


if __name__ == "__main__":
    main()
