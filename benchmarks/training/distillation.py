"""Distillation at equal time: small networks with a teacher, and alone for as long.

Run ``python -m benchmarks.training.distillation teacher --folder FOLDER --place PLACE``, a folder
with ``train/<class>/`` images such as CIFAR-10's, then ``students`` and ``collect --save`` with
the same place. The teacher trains on mixed images; a student trains by recipe ``final`` with its
answers, and another of the same seed without them, for as many epochs as take the same processor
time. All errors are of one validation split, which no training sees. A second call goes on where
the first was stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from benchmarks.common.results import Row, header, markdown, results_of, versions, write
from benchmarks.training.tune_fast import Sizes, load
from optuna_de._allocator import keep_memory
from optuna_de.cnn import count_parameters, parse
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.training.trainer import TrainingResult, train

RESULTS = results_of(__file__)
TEACHER = "B32k3-MP-R96k3-MP-R128k3-MP-R192k3-GAP"
STUDENTS = (
    "B16k3-B16k3-MP-B32k3-MP-B32k3-B40k3-GAP",
    "B32k3-B32k3-MP-B48k3-B48k3-MP-B64k3-B40k3-GAP",
)
BATCH = 128
ALONE = get_recipe("final")
MIXED = replace(ALONE, name="mixed", mixup=0.2, cutmix=1.0, cutout=0)


def fresh(network: str, data: ImageData) -> nn.Module:
    """Return a network of seed 0."""
    torch.manual_seed(0)
    return build(parse(network), data.image_shape, len(data.classes))


def train_teacher(data: ImageData, place: Path, epochs: int) -> Row:
    """Train the teacher, keep its weights, and return its row."""
    model, began = fresh(TEACHER, data), time.process_time()
    result = train(
        *(model, data, MIXED),
        epochs=epochs,
        batch_size=BATCH,
        score_epochs=(),
        checkpoint=place / "teacher-checkpoint.pt",
    )
    torch.save(model.state_dict(), place / "teacher.pt")
    return _row("teacher", TEACHER, result, time.process_time() - began)


def train_student(data: ImageData, network: str, epochs: int, teacher: nn.Module | None) -> Row:
    """Train a student with a teacher or alone, and return its row."""
    began = time.process_time()
    result = train(
        *(fresh(network, data), data, ALONE),
        epochs=epochs,
        batch_size=BATCH,
        score_epochs=(),
        teacher=teacher,
    )
    arm = "alone" if teacher is None else "distilled"
    return _row(arm, network, result, time.process_time() - began)


def _row(arm: str, network: str, result: TrainingResult, seconds: float) -> Row:
    return {
        **{"arm": arm, "network": network, "parameters": count_parameters(parse(network))},
        **{"epochs": len(result.epochs), "training error": result.epochs[-1].train_error},
        **{"validation error": result.error, "CPU s": round(seconds, 1)},
    }


def load_teacher(data: ImageData, place: Path) -> nn.Module:
    """Return the teacher of this place."""
    model = fresh(TEACHER, data)
    model.load_state_dict(torch.load(place / "teacher.pt", weights_only=True))
    return model.eval()


def run_students(data: ImageData, place: Path, epochs: int) -> None:
    """Train each student that has no row: distilled, then alone for as long."""
    done = {(row["network"], row["arm"]): row for row in read_rows(place)}
    for network in STUDENTS:
        taught = done.get((network, "distilled"))
        if taught is None:
            taught = train_student(data, network, epochs, load_teacher(data, place))
            _keep(taught, place)
        if (network, "alone") not in done:
            pace = _epoch_seconds(data, network)
            _keep(train_student(data, network, round(taught["CPU s"] / pace), None), place)


def _epoch_seconds(data: ImageData, network: str) -> float:
    """Return the processor time of an epoch alone, by the second of two."""
    ends: list[float] = []

    def mark(_: object) -> bool:
        ends.append(time.process_time())
        return False

    model = fresh(network, data)
    train(model, data, ALONE, epochs=2, batch_size=BATCH, on_epoch=mark)
    return ends[1] - ends[0]


def read_rows(place: Path) -> list[Row]:
    """Return the rows of a place."""
    file = place / "rows.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def _keep(row: Row, place: Path) -> None:
    print(row, flush=True)
    with (place / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of one result file."""
    names = [*rows[0]]
    return (
        f"{head['images']:,} training images, {head['validation']:,} validation images, one "
        f"thread.\n\n{markdown(names, [[_text(row[name]) for name in names] for row in rows])}"
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if value < 1 else f"{value:.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def main() -> None:
    """Train the teacher or the students, or collect."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("teacher", "students", "collect"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--train", type=int, default=45_000)
    parser.add_argument("--validation", type=int, default=5000)
    parser.add_argument("--epochs", type=int, help="(default: the teacher's 60, a student's 20)")
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    args.place.mkdir(parents=True, exist_ok=True)
    if args.step != "collect":
        if args.folder is None:
            parser.error(f"{args.step} needs --folder")
        data = load(Sizes(args.folder, args.train, args.validation))
        if args.step == "teacher":
            _keep(train_teacher(data, args.place, args.epochs or 60), args.place)
        else:
            run_students(data, args.place, args.epochs or 20)
        return
    known = {**versions(), "torch": torch.__version__}
    head = header(1, images=args.train, validation=args.validation, versions=known)
    rows = read_rows(args.place)
    print(table(head, rows))
    if args.save:
        print(write(RESULTS / "distillation.jsonl", head, rows))


if __name__ == "__main__":
    main()
