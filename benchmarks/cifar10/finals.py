"""Final trainings of small networks: what can so many parameters reach in an hour of a core?

Run ``python -m benchmarks.cifar10.finals train --folder FOLDER``, a folder with ``train/<class>/``
and ``test/<class>/``, then ``... collect --save``. The first runs ``optuna-de train`` for each row
of the table below on one thread, and goes on where it was stopped; the test split is opened once a
training, after its last epoch. Networks and epochs were chosen by short trainings on a validation
split.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cifar10.search import trained
from benchmarks.common.results import Row, header, markdown, results_of, versions, write
from optuna_de.cnn import count_macs, count_parameters, parse

RESULTS = results_of(__file__)


@dataclass(frozen=True)
class Final:
    """A final training.

    Args:
        below: Parameters that it stays below.
        goal: Test accuracy in per cent that was asked for.
        network: Its text.
        epochs: Chosen by time.
        recipe: Name of the recipe.
        batch: Images of a step.
        seed: Of weights, order and augmentation.
    """

    below: int
    goal: float
    network: str
    epochs: int
    recipe: str = "final"
    batch: int = 128
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"below-{self.below}-seed-{self.seed}"


FINALS = (
    Final(1_000_000, 92.5, "B32k3-MP-R96k3-MP-R128k3-MP-R192k3-GAP", 40),
    Final(100_000, 89.0, "B32k3-B32k3-MP-B48k3-B48k3-MP-B64k3-B40k3-GAP", 60),
    Final(30_000, 84.0, "B32k3-MP-D64k3-D64k3-MP-D80k5-D96k5-GAP", 60),
    Final(300_000, 92.14, "B48k3-MP-R64k3-R64k3-MP-R96k3-GAP", 32),
)
COLUMNS = (
    "below",
    "architecture",
    "parameters",
    "MACs, millions",
    "recipe",
    "batch",
    "epochs",
    "minutes",
)


def command(final: Final, folder: Path, place: Path) -> list[str]:
    """Return the command line of a training."""
    options = {
        "--architecture": final.network,
        "--data": str(folder),
        "--recipe": final.recipe,
        "--epochs": str(final.epochs),
        "--batch-size": str(final.batch),
        "--seed": str(final.seed),
        "--threads": "1",
        "--device": "cpu",
        "--out": str(place / final.name),
    }
    extra = [part for pair in options.items() for part in pair]
    return [sys.executable, "-m", "optuna_de", "train", *extra]


def collect(place: Path) -> list[Row]:
    """Return a row for every training that is finished."""
    trainings = ((final, trained(place / final.name)) for final in FINALS)
    return [{**about(final), **result} for final, result in trainings if result]


def about(final: Final) -> Row:
    """Return what is known of a training before it begins."""
    genome = parse(final.network)
    return {
        "below": final.below,
        "goal": final.goal,
        "batch": final.batch,
        "architecture": final.network,
        "parameters": count_parameters(genome),
        "macs": count_macs(genome),
    }


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return test accuracies beside the goals."""
    lines = [
        [
            f"{row['below']:,}",
            f"`{row['architecture']}`",
            f"{row['parameters']:,}",
            f"{row['macs'] / 1e6:.1f}",
            row["recipe"],
            row["batch"],
            row["epochs"],
            f"{row['training seconds'] / 60:.0f}",
            f"{100 * (1 - row['test error']):.2f}",
            row["goal"],
        ]
        for row in rows
    ]
    return markdown((*COLUMNS, "test accuracy, %", "goal, %"), lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["train", "collect"])
    parser.add_argument("--folder", type=Path, default=Path("data/cifar"))
    parser.add_argument("--place", type=Path, default=Path("data/finals"), help="of all results")
    parser.add_argument("--save", action="store_true", help="write benchmarks/cifar10/results")
    args = parser.parse_args()
    args.place.mkdir(parents=True, exist_ok=True)
    if args.what == "train":
        for final in FINALS:
            subprocess.run(command(final, args.folder, args.place), check=True)
        return
    rows = collect(args.place)
    head = header(1, versions=versions())
    print(table(head, rows))
    if args.save:
        print(write(RESULTS / "finals.jsonl", head, rows))


if __name__ == "__main__":
    main()
