"""Recipe versions at equal epochs: validation error of ``fast`` today and before.

Run ``python -m benchmarks.training.recipe_versions --folder FOLDER --rows FILE``, a folder with
``train/<class>/`` images such as CIFAR-10's. Six networks from 20,000 to 700,000 parameters; each
training is one line of the file, and a second call goes on where the first was stopped. ``--save``
writes the table's data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import torch

from benchmarks.common.results import Row, header, markdown, results_of, versions, write
from benchmarks.training.tune_fast import Sizes, load
from optuna_de._allocator import keep_memory
from optuna_de.cnn import count_parameters, parse
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import fit_recipe, get_recipe
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)
NETWORKS = (
    "B16k3-MP-B32k3-MP-R32k3-GAP",
    "B24k3-MP-P48k3-MP-D64k3-R64k3-GAP",
    "B32k3-S64k3-B64k3-MP-B96k3-GAP",
    "B32k3-MP-R64k3-MP-R64k3-MP-R96k3-GAP",
    "B32k3-MP-P96k3-P96k3-MP-R128k3-GAP",
    "B32k3-MP-B96k3-MP-R128k3-MP-R160k3-GAP",
)
VERSIONS = ("fast version 1", "fast version 2")


def cases(seeds: int) -> Iterator[Row]:
    """Yield what to train, versions next to each other."""
    for seed, network, recipe in product(range(seeds), NETWORKS, VERSIONS):
        yield {"network": network, "recipe": recipe, "seed": seed}


def measure(case: Row, data: ImageData, epochs: int) -> Row:
    """Train once with the recipe's own batch size, and return its row."""
    genome = parse(case["network"])
    torch.manual_seed(case["seed"])
    model = build(genome, data.image_shape, len(data.classes))
    recipe = fit_recipe(get_recipe(case["recipe"]), data, epochs)
    began = time.process_time()
    result = train(model, data, recipe, epochs=epochs, seed=case["seed"], score_epochs=())
    return {
        **case,
        "parameters": count_parameters(genome),
        "error": result.error,
        "seconds": round(time.process_time() - began, 1),
    }


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return a line a network: mean error by version, and processor seconds."""
    lines, gains = [], []
    for network in NETWORKS:
        mine = [row for row in rows if row["network"] == network]
        if {row["recipe"] for row in mine} < set(VERSIONS):
            continue
        errors = [_mean(mine, version, "error") for version in VERSIONS]
        seconds = [_mean(mine, version, "seconds") for version in VERSIONS]
        gains.append(errors[0] - errors[1])
        size = f"{mine[0]['parameters']:,}"
        lines.append(
            [f"`{network}`", size, *(f"{e:.3f}" for e in errors), *(f"{s:.0f}" for s in seconds)]
        )
    seconds_of = [f"{version}, processor s" for version in VERSIONS]
    known = markdown(("network", "parameters", *VERSIONS, *seconds_of), lines)
    gain = 100 * statistics.mean(gains)
    low, high = 100 * min(gains), 100 * max(gains)
    return (
        f"{head['images']:,} images, {head['epochs']} epochs, one thread.\n\n{known}\n\n"
        f"Mean gain: {gain:.1f} points ({low:.1f} to {high:.1f} by network)."
    )


def _mean(rows: Sequence[Row], version: str, figure: str) -> float:
    values: list[float] = [row[figure] for row in rows if row["recipe"] == version]
    return statistics.mean(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="a line for each training")
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--validation", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    lines = args.rows.read_text().splitlines() if args.rows.exists() else []
    rows: list[Row] = [json.loads(line) for line in lines]
    done = {(row["network"], row["recipe"], row["seed"]) for row in rows}
    for case in cases(args.seeds):
        if tuple(case.values()) not in done:
            data = load(Sizes(args.folder, args.train, args.validation))
            rows.append(measure(case, data, args.epochs))
            with args.rows.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(rows[-1], flush=True)
    known = {**versions(), "torch": torch.__version__}
    about = {"images": args.train, "validation": args.validation, "epochs": args.epochs}
    head = header(args.seeds, **about, versions=known)
    print(table(head, rows))
    if args.save:
        print(write(RESULTS / "recipe_versions.jsonl", head, rows))


if __name__ == "__main__":
    main()
