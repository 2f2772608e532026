"""One epoch of inherited weights against one from scratch, on children of digits networks.

Run ``python -m benchmarks.cifar10.heirs --save``. Each parent is trained from scratch for the long
training; each child is a parent with one unit more, less or of other channels. The measures are
the error after one epoch, inherited and from scratch, and Spearman's correlation of both with the
error of the long training from scratch, over the children of all parents.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from scipy.stats import spearmanr

from benchmarks.common.results import Row, header, markdown, results_of, write
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.data.augmentation import normaliser
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import load_data
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.inheritance import Parent, inherit
from optuna_de.cnn.recipes import Recipe, fit_recipe, get_recipe
from optuna_de.cnn.training.optimizer import initialise
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)
LONG = 5
FAMILIES = {
    "B16k3-MP-B32k3-GAP": (
        *("B24k3-MP-B32k3-GAP", "B16k3-MP-B12k3-GAP", "B16k3-R16k3-MP-B32k3-GAP"),
        *("B16k3-MP-B32k3-B32k3-GAP", "B16k3-MP-D32k3-B24k5-GAP", "B16k3-B32k3-GAP"),
    ),
    "B8k3-R12k3-AP-P24k3-GAP": (
        *("B8k3-R20k3-AP-P24k3-GAP", "B8k3-R12k3-AP-P40k5-GAP", "B8k3-AP-P24k3-GAP"),
        *("B8k3-R12k3-R12k3-AP-P24k3-GAP", "B8k3-R12k3-AP-P24k3-D32k3-GAP", "B8k3-R12k3-AP-GAP"),
    ),
}


def trained(
    text: str, data: ImageData, recipe: Recipe, epochs: int, seed: int, parent: Parent | None
) -> tuple[float, torch.nn.Module]:
    """Train a network and return its error."""
    genome, classes = parse(text), len(data.classes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(genome, data.image_shape, classes)
    if parent is not None:
        initialise(model, seed)
        side = (data.image_shape[1], data.image_shape[2])
        ready = normaliser(data.mean, data.std, side, torch.device("cpu"))
        images = ready(data.train.images[:128])
        inherit(model, genome, parent, data.image_shape, classes, images)
        recipe = replace(recipe, initialisation="torch")
    return train(model, data, recipe, epochs=epochs, seed=seed, score_epochs=()).error, model


def measure() -> list[Row]:
    """Train every family."""
    data, rows = load_data("digits"), []
    short, long = (fit_recipe(get_recipe("fast"), data, n) for n in (1, LONG))
    for text, children in FAMILIES.items():
        began = time.process_time()
        own, model = trained(text, data, long, LONG, 0, None)
        parent = Parent(parse(text), model.state_dict())
        for child in children:
            row: Row = {"parent": text, "child": child, "parent, long": round(own, 4)}
            row["inherited, 1 epoch"] = round(trained(child, data, short, 1, 1, parent)[0], 4)
            row["scratch, 1 epoch"] = round(trained(child, data, short, 1, 1, None)[0], 4)
            row[f"scratch, {LONG} epochs"] = round(trained(child, data, long, LONG, 1, None)[0], 4)
            row["CPU s so far"] = round(time.process_time() - began, 1)
            rows.append(row)
            print(row, flush=True)
    return rows


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of one result file, the correlations below it."""
    names = [*rows[0]]
    truth = [row[f"scratch, {LONG} epochs"] for row in rows]
    said = [
        f"Spearman of {name} with the long training, {len(rows)} children: "
        f"{spearmanr([row[name] for row in rows], truth).statistic:.2f}."
        for name in ("inherited, 1 epoch", "scratch, 1 epoch")
    ]
    lines = [[str(row[name]) for name in names] for row in rows]
    return "\n\n".join([markdown(names, lines), *said])


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure()
    if args.save:
        write(RESULTS / "heirs.jsonl", header(1), rows)


if __name__ == "__main__":
    main()
