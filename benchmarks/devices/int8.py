"""Int8 against float32 accuracy of ten networks of a front, plain and trained for it.

Run ``python -m benchmarks.devices.int8 --data CIFAR --subset 5000`` after ``fronts``. Ten
networks, spread over the front of all arms by parameters, are trained, scored once on the test
split, exported and quantised. Those that lose more than a point are trained again,
quantize-aware. Rows are kept. ``--network TEXT --out int8-depthwise`` takes named networks.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common.results import Row, header, markdown, read, results_of
from benchmarks.devices.fronts import front
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.evaluation.candidates import load_candidates
from optuna_de.cnn.evaluation.final_training import run_final_training, score_final_training
from optuna_de.cnn.evaluation.int8_export import MOST_LOST, export_int8
from optuna_de.cnn.evaluation.results import final_result, write_result, write_weights

RESULTS = results_of(__file__)


def chosen(count: int) -> list[str]:
    """Return networks of the front of all searched ones, evenly by rank of size."""
    best = front(read(RESULTS / "fronts.jsonl")[1], "parameters")
    texts = list(dict.fromkeys(row["network"] for row in best))
    step = max(1, (len(texts) - 1) / max(1, count - 1))
    return list(dict.fromkeys(texts[min(round(i * step), len(texts) - 1)] for i in range(count)))


def row(text: str, choice: DataChoice, epochs: int, *, aware: bool) -> Row:
    """Train a network, score it on the test split, quantise it and score that file."""
    candidates = load_candidates(None, choice)
    network = candidates.from_text(text)
    job = candidates.job(
        network,
        recipe=None,
        epochs=epochs,
        batch_size=None,
        seed=0,
        device="cpu",
        quantize_aware=aware,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "model")
        folder.mkdir()
        weights = run_final_training(job, folder)
        write_weights(job, weights, folder)
        figures = score_final_training(job, weights, choice.load_test())
        result = final_result(job, weights, figures)
        write_result(result, folder)
        done = export_int8(folder, Path(place, "net.onnx"), choice)
    images, exact, rough = done.accuracies["test"]
    return {
        "network": text,
        "parameters": result["parameters"],
        "quantize-aware": aware,
        "epochs": job.total_epochs,
        "test images": images,
        "float32": exact,
        "int8": rough,
        "float32 bytes": done.float_bytes,
        "int8 bytes": done.int8_bytes,
    }


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return both accuracies of each network, and how many lose more than a point."""
    lines = [
        [
            *(r["network"], f"{r['parameters']:,}", "yes" if r["quantize-aware"] else "no"),
            *(
                f"{r['float32']:.2%}",
                f"{r['int8']:.2%}",
                f"{100 * (r['int8'] - r['float32']):+.2f}",
            ),
            f"{r['int8 bytes'] / r['float32 bytes']:.2f}",
        ]
        for r in rows
    ]
    plain = [r for r in rows if not r["quantize-aware"]]
    lost = sum(r["float32"] - r["int8"] > MOST_LOST for r in plain)
    columns = ["network", "parameters", "quantize-aware", "float32", "int8", "points", "size"]
    tail = f"{lost} of {len(plain)} networks lose more than a point without training for it."
    return markdown(columns, lines) + f"\n\n{tail} Test images: {rows[0]['test images']:,}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--subset", type=int, help="images for training and validation")
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--network", action="append", help="a network in place of the front's")
    parser.add_argument("--out", default="int8")
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    path, choice = RESULTS / f"{args.out}.jsonl", DataChoice(data=args.data, subset=args.subset)
    if not path.exists():
        path.write_text(
            json.dumps(
                header(
                    len(args.network or ()) or args.networks,
                    data=Path(args.data).name,
                    subset=args.subset,
                )
            )
            + "\n"
        )
    measured = read(path)[1]
    for text in args.network or chosen(args.networks):
        for aware in (False, True):
            own = {r["quantize-aware"]: r for r in measured if r["network"] == text}
            lost = False in own and own[False]["float32"] - own[False]["int8"] > MOST_LOST
            if aware in own or (aware and not lost):
                continue
            measured.append(row(text, choice, args.epochs, aware=aware))
            with path.open("a") as file:
                file.write(json.dumps(measured[-1]) + "\n")


if __name__ == "__main__":
    main()
