"""Rank correlation of cheap trainings with a long one, per second of processor time, on CIFAR-10.

Run ``python -m benchmarks.cifar10.fidelity measure --folder FOLDER --networks 40``, a folder with
``train/<class>/`` and ``test/<class>/``; it can be stopped at any time and goes on, and several
processes may take different ``--seed``. ``... table --save`` writes the table.

Networks are drawn from the initial distribution of the region 20 k to 300 k parameters, of at most
:data:`MACS_CAP` MACs. Each is trained at every fidelity of :data:`FIDELITIES` by recipe ``fast``,
anew, and scored on several sizes of one validation split; the last fidelity is the long training.
Scores are the validation error, the validation loss, and the sum of training losses (the training
speed of Ru et al., 2021). Within a band of sizes (a factor of 2.5) the mean of Spearman's
correlation over bands of five networks or more counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.common.results import Row, header, markdown, results_of, write
from optuna_de.cnn.architecture.genomes import Genome, render
from optuna_de.cnn.architecture.prices import MACS, PARAMETERS, Limit
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.dataset import ImageData, Split
from optuna_de.cnn.data.loading import load_data
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import fit_recipe, get_recipe
from optuna_de.cnn.search.fidelity import Fidelity, reduced
from optuna_de.cnn.training.evaluate import evaluate
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)
REGION = Region(20_000, 300_000)
MACS_CAP = 2_500_000
FIDELITIES = (
    *(Fidelity(2_000, 4), Fidelity(8_000, 1)),
    *(Fidelity(24_000, 1), Fidelity(16_000, 3)),
)
"""The last one is the long training."""
HELD = (500, 1_000, 5_000)
"""Validation images on which each training is scored."""
TRUTH = f"error on {HELD[-1]:,}"
SCORES: dict[str, Callable[[Row], float]] = {
    **{f"error on {n:,}": lambda row, n=n: float(row["errors"][str(n)]) for n in HELD},  # type: ignore[misc]
    f"loss on {HELD[-1]:,}": lambda row: float(row["losses"][str(HELD[-1])]),
    "sum of training losses": lambda row: float(row["speed"]),
    "parameters": lambda row: -float(row["parameters"]),
}
"""What a training says of a network, by name; less is better."""
BAND = 2.5  # largest by smallest size
LEAST = 5  # networks of a band


def measure(folder: Path, networks: int, seed: int, rows: Path) -> None:
    """Train the networks at all fidelities that the file of rows lacks."""
    data = load_data(folder, validation_fraction=HELD[-1] / 50_000)
    space = CNNSpace(
        data.image_shape,
        len(data.classes),
        min_parameters=REGION.min_parameters,
        limits=(Limit(PARAMETERS, REGION.max_parameters), Limit(MACS, MACS_CAP)),
    )
    genomes = drawn(space, networks, np.random.default_rng(seed))
    done = {(row["network"], row["fidelity"]) for row in read(rows)}
    for genome in genomes:
        for fidelity in FIDELITIES:
            name = render(genome)
            if (name, fidelity.text) in done:
                continue
            row = _row(genome, space, data, fidelity)
            with rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def drawn(space: CNNSpace, networks: int, rng: np.random.Generator) -> list[Genome]:
    """Draw networks within the limits, as many of each band; those of the bands take turns."""
    bands = REGION.bands(BAND)
    held: list[list[Genome]] = [[] for _ in bands]
    while min(map(len, held)) < -(-networks // len(bands)):
        params = space.initial(rng)
        size = space.count_parameters(params)
        if space.accept(params):
            at = next(i for i, (_, high) in enumerate(bands) if size < high or i == len(bands) - 1)
            held[at].append(space.decode(params))
    return [genome for turn in zip(*held, strict=False) for genome in turn][:networks]


def _row(genome: Genome, space: CNNSpace, data: ImageData, fidelity: Fidelity) -> Row:
    torch.manual_seed(0)
    model = build(genome, space.image_shape, space.classes)
    recipe = fit_recipe(get_recipe("fast"), data, fidelity.epochs)
    part = replace(reduced(data, fidelity.images), validation=_first(data.validation, 1))
    began = time.process_time()
    result = train(model, part, recipe, epochs=fidelity.epochs, score_epochs=())
    seconds = time.process_time() - began
    scores = {
        n: evaluate(model, _first(data.validation, n), data.mean, data.std, bfloat16=True)
        for n in HELD
    }
    size = space.count_parameters(space.encode(genome))
    return {
        **{"network": render(genome), "parameters": size, "fidelity": fidelity.text},
        "errors": {n: error for n, (error, _) in scores.items()},
        "losses": {n: loss for n, (_, loss) in scores.items()},
        "speed": sum(epoch.train_loss for epoch in result.epochs),
        "training s": round(seconds, 2),
    }


def _first(split: Split, n: int) -> Split:
    """Return every k-th image of a split, n of them."""
    chosen = torch.linspace(0, len(split.labels) - 1, n).long()
    return Split(split.images[chosen], split.labels[chosen])


def read(rows: Path) -> list[Row]:
    """Return what was measured so far."""
    return (
        [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
        if rows.exists()
        else []
    )


def correlations(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield, for each fidelity and score, its cost and correlation with the long training."""
    long = FIDELITIES[-1].text
    truth = {r["network"]: r["errors"][str(HELD[-1])] for r in rows if r["fidelity"] == long}
    for fidelity in FIDELITIES:
        own = [r for r in rows if r["fidelity"] == fidelity.text and r["network"] in truth]
        for score, value in SCORES.items():
            pairs = [(r["parameters"], value(r), truth[r["network"]]) for r in own]
            if len(pairs) < LEAST or (fidelity.text == long and score == TRUTH):
                continue
            bands = [*_bands(pairs)]
            within = [_spearman(band) for band in bands]
            yield {
                **{"fidelity": fidelity.text, "score": score, "networks": len(pairs)},
                "training s": round(fmean(r["training s"] for r in own), 1),
                "Spearman": round(_spearman(pairs), 3),
                "within bands": round(fmean(within), 3) if within else None,
                "bands": ", ".join(
                    f"{w:.2f} (n={len(b)})" for w, b in zip(within, bands, strict=True)
                ),
            }


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of one result file."""
    names = [*rows[0]]
    return markdown(names, [[str(row[name]) for name in names] for row in rows])


def _bands(pairs: Sequence[tuple[int, float, float]]) -> Iterator[list[tuple[int, float, float]]]:
    for low, high in REGION.bands(BAND):
        band = [pair for pair in pairs if low <= pair[0] < high]
        if len(band) >= LEAST:
            yield band


def _spearman(pairs: Sequence[tuple[int, float, float]]) -> float:
    return float(spearmanr([p[1] for p in pairs], [p[2] for p in pairs]).statistic)


def main() -> None:
    """Measure, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("measure", "table"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, default=Path("fidelity_rows.jsonl"))
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.step == "measure":
        if args.folder is None:
            parser.error("measure needs --folder")
        measure(args.folder, args.networks, args.seed, args.rows)
        return
    measured = list(correlations(read(args.rows)))
    for row in measured:
        print(row)
    if args.save:
        n = len({row["network"] for row in read(args.rows)})
        write(RESULTS / "fidelity.jsonl", header(n), measured)


if __name__ == "__main__":
    main()
