"""A fit of ten minutes on 600 images of 64x64 in three classes, against five zoo networks.

Run ``python -m benchmarks.fit.few_images make --folder FOLDER --place PLACE``, a folder with
``train/<class>/`` and ``test/<class>/`` of CIFAR-10, then ``fit``, ``zoo`` and ``collect --save``
with the same place. Images are the first 200 of three classes for training and all of the test
split, enlarged by bicubic interpolation. The five networks get a fifth each of the processor time
that the fit took, by recipe ``final`` on the same training images; validation images choose among
them as among the fit's models. Each test split is read once, after all training.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from benchmarks.common.results import Row, header, markdown, results_of, write
from optuna_de.cnn import fit
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.zoo import get_architecture
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.evaluation.final_training import run_final_training, score_final_training
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import fit_recipe, get_recipe
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)
CLASSES = ("cat", "dog", "horse")
EACH, SIDE = 200, 64
MINUTES = 10.0
ZOO = ("resnet20", "simpnet_300k", "simpnet_600k", "mobilenetv2_half", "simplenet")
SCORING = 1.1  # a training with its scoring, in trainings: validation is a fifth of the images


def make(folder: Path, place: Path, classes: Sequence[str]) -> None:
    """Write the enlarged images of both splits."""
    for split, most in (("train", EACH), ("test", None)):
        for name in classes:
            target = place / "images" / split / name
            target.mkdir(parents=True, exist_ok=True)
            for file in sorted((folder / split / name).iterdir())[:most]:
                with Image.open(file) as image:
                    large = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                large.save(target / f"{file.stem}.png")


def run_fit(place: Path, seed: int, minutes: float) -> None:
    """Fit, and note what it cost and shipped."""
    began = time.process_time()
    done = fit(
        place / "images",
        minutes=minutes,
        workers=1,
        seed=seed,
        storage=f"sqlite:///{place}/study.db",
        study_name=f"few-{seed}",
        artifacts=place / f"artifacts-{seed}",
        out=place / f"models-{seed}",
    )
    seconds = time.process_time() - began
    rows = [
        {
            **{"arm": "fit", "seed": seed, "network": model.architecture},
            **{"parameters": model.parameters, "MACs": model.macs},
            **{"validation error": model.validation_error, "test error": model.test_error},
            **{"CPU seconds of the arm": round(seconds, 1), "epochs": None},
        }
        for model in done.models
    ]
    (place / f"fit-{seed}.json").write_text(json.dumps({"seconds": seconds, "rows": rows}))


def run_zoo(place: Path, seed: int) -> None:
    """Train each network for a fifth of what the fit cost, and note its errors."""
    budget = json.loads((place / f"fit-{seed}.json").read_text())["seconds"] / len(ZOO)
    choice = DataChoice(str(place / "images"), validation_fraction=0.2)
    data, trained = choice.load(), []
    for name in ZOO:
        genome = get_architecture(name)
        epochs = max(1, int(budget / (_epoch_seconds(name, choice) * SCORING)))
        job = TrainingJob(
            genome,
            data,
            fit_recipe(get_recipe("final"), data, epochs),
            epochs,
            get_recipe("final").batch_size,
            seed=seed,
            keep_validation=True,
            last_epoch=True,
        )
        folder = place / f"zoo-{seed}" / name
        folder.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        weights = run_final_training(job, folder)
        trained.append((name, job, weights, time.process_time() - began))
    rows, test = [], choice.load_test()
    for name, job, weights, seconds in trained:
        figures = score_final_training(job, weights, test)["last"]
        shape, classes = data.image_shape, len(data.classes)
        rows.append(
            {
                **{"arm": "zoo", "seed": seed, "network": name},
                "parameters": count_parameters(job.genome, shape, classes),
                "MACs": count_macs(job.genome, shape, classes),
                "validation error": weights.result.error,
                "test error": figures["test error"],
                **{"CPU seconds of the arm": round(seconds, 1), "epochs": job.epochs},
            }
        )
    (place / f"zoo-{seed}.json").write_text(json.dumps({"rows": rows}))


def _epoch_seconds(name: str, choice: DataChoice) -> float:
    """Return the processor time of an epoch, by the second of two."""
    data, marks = choice.load(), [0.0]
    model = build(get_architecture(name), data.image_shape, len(data.classes))

    def mark(_: object) -> bool:
        marks.append(time.process_time())
        return False

    train(model, data, get_recipe("final"), epochs=2, on_epoch=mark)
    return marks[-1] - marks[-2]


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of one result file; the model that validation chooses is in bold."""
    names = [*rows[0]]
    least = {
        (row["arm"], row["seed"]): min(
            r["validation error"]
            for r in rows
            if (r["arm"], r["seed"]) == (row["arm"], row["seed"])
        )
        for row in rows
    }

    def cell(row: Row, name: str) -> str:
        value = row[name]
        text = f"{value:.2%}" if "error" in name else "" if value is None else str(value)
        chosen = row["validation error"] == least[row["arm"], row["seed"]]
        return f"**{text}**" if chosen and name == "test error" else text

    return markdown(names, [[cell(row, name) for name in names] for row in rows])


def main() -> None:
    """Make the images, run an arm, or collect."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("make", "fit", "zoo", "collect"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--classes", default=",".join(CLASSES), help="of make")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.step == "make":
        if args.folder is None:
            parser.error("make needs --folder")
        make(args.folder, args.place, args.classes.split(","))
    elif args.step == "fit":
        run_fit(args.place, args.seed, args.minutes)
    elif args.step == "zoo":
        run_zoo(args.place, args.seed)
    else:
        files = [f"{arm}-{args.seed}.json" for arm in ("fit", "zoo")]
        rows = [r for f in files for r in json.loads((args.place / f).read_text())["rows"]]
        for row in rows:
            print(row)
        if args.save:
            write(RESULTS / "few_images.jsonl", header(1, minutes=args.minutes), rows)


if __name__ == "__main__":
    main()
