"""Train random networks to the end and record their curves, one JSON line each.

``python -m benchmarks.halving.record_curves digits --networks 90 --seconds 180`` goes on where the
file stops and ends after the seconds. Sizes spread over three orders of magnitude. Half of the
networks spell the seed's alphabet (convolution, ReLU, pools, three linear layers with dropout),
half have a batch norm after every convolution and one linear layer after global average pooling.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchmarks.common.results import results_of
from optuna_de.cnn.recipes import RECIPES, Recipe
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import ImageData

EPOCHS, BATCH = 27, 32
Layer = tuple[int, int] | str  # (channels, kernel), "MP" or "AP"


@dataclass(frozen=True)
class Split:
    """uint8 images (n, c, h, w) and int64 labels (n,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Data:
    """What the trainer reads of a set."""

    name: str
    train: Split
    validation: Split
    recipe: Recipe
    most_macs: int
    classes: tuple[str, ...] = tuple("0123456789")
    fingerprint: str = ""

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels, height, width."""
        return tuple(self.train.images.shape[1:])

    @property
    def mean(self) -> list[float]:
        """Channel means."""
        return cast("list[float]", (self.train.images / 255).mean((0, 2, 3)).tolist())

    @property
    def std(self) -> list[float]:
        """Channel deviations."""
        return cast("list[float]", (self.train.images / 255).std((0, 2, 3)).tolist())


def split(images: Tensor, labels: Tensor, train_size: int) -> tuple[Split, Split]:
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    head, tail = order[:train_size], order[train_size:]
    return Split(images[head], labels[head]), Split(images[tail], labels[tail])


def digits() -> Data:
    """1,797 digits of 8 x 8 pixels, 1,200 to train on."""
    bunch = load_digits()
    images = torch.tensor(bunch.images * 15.9).byte()[:, None]
    recipe = replace(RECIPES["fast"], name="fast-digits", crop_padding=0, flip=False)
    parts = split(images, torch.tensor(bunch.target), 1200)
    return Data("digits", *parts, recipe, most_macs=400_000)


def cifar(folder: Path, per_class: int = 200) -> Data:
    """2,000 images of CIFAR-10, shrunk to 16 x 16 pixels, 1,200 to train on."""
    from PIL import Image

    classes = sorted(path.name for path in (folder / "train").iterdir())
    images, labels = [], []
    for label, name in enumerate(classes):
        for path in sorted((folder / "train" / name).glob("*.jpg"))[:per_class]:
            small = Image.open(path).convert("RGB").resize((16, 16), Image.Resampling.BOX)
            images.append(torch.from_numpy(np.array(small)).permute(2, 0, 1))
            labels.append(label)
    recipe = replace(RECIPES["fast"], name="fast-16", crop_padding=2)
    parts = split(torch.stack(images), torch.tensor(labels), 1200)
    return Data("cifar16", *parts, recipe, most_macs=700_000)


def draw(rng: np.random.Generator, data: Data) -> list[Layer]:
    """Draw 1 to 6 layers: channels log-uniform in 3 to 64, a pool with probability 0.35."""
    while True:
        layers: list[Layer] = []
        for slot in range(rng.integers(1, 7)):
            if slot and rng.random() < 0.35:
                layers.append("MP" if rng.random() < 0.8 else "AP")
            else:
                channels = round(float(np.exp(rng.uniform(np.log(3), np.log(64)))))
                layers.append((channels, int(rng.choice([1, 3, 5]))))
        pools = sum(isinstance(layer, str) for layer in layers)
        if 2**pools <= data.image_shape[1] // 2 and macs(layers, data) <= data.most_macs:
            return layers


def macs(layers: list[Layer], data: Data) -> int:
    """Multiplications for one image, with the seed's three linear layers counted for all."""
    channels, side, _ = data.image_shape
    total = 0
    for layer in layers:
        if isinstance(layer, str):
            side //= 2
        else:
            total += side**2 * channels * layer[0] * layer[1] ** 2
            channels = layer[0]
    flat = channels * side**2
    return total + flat * (flat // 2) + (flat // 2) * (flat // 4)


def text(layers: list[Layer]) -> str:
    return "-".join(x if isinstance(x, str) else f"C{x[0]}k{x[1]}" for x in layers)


def build(layers: list[Layer], data: Data, norms: bool) -> nn.Sequential:
    channels, side, _ = data.image_shape
    modules: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, str):
            modules.append((nn.MaxPool2d if layer == "MP" else nn.AvgPool2d)(2))
            side //= 2
            continue
        modules.append(nn.Conv2d(channels, layer[0], layer[1], padding=layer[1] // 2))
        modules += [nn.BatchNorm2d(layer[0])] * norms + [nn.ReLU()]
        channels = layer[0]
    return nn.Sequential(*modules, *head(channels, side, len(data.classes), norms))


def head(channels: int, side: int, classes: int, norms: bool) -> Iterator[nn.Module]:
    """Yield the classifier: the seed's three linear layers, or one after averaging."""
    if norms:
        yield from (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
        return
    flat = channels * side**2
    wide, narrow = max(10, flat // 2), max(10, flat // 4)
    yield from (nn.Flatten(), nn.Dropout(0.5), nn.Linear(flat, wide), nn.ReLU())
    yield from (nn.Dropout(0.5), nn.Linear(wide, narrow), nn.ReLU(), nn.Linear(narrow, classes))


def record(data: Data, number: int) -> dict[str, object]:
    """Draw and train one network to the end."""
    rng = np.random.default_rng(number)
    norms, layers = number % 4 >= 2, draw(rng, data)
    torch.manual_seed(number)
    model = build(layers, data, norms)
    result = train(
        model,
        cast("ImageData", data),
        data.recipe,
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=number,
    )
    errors = [cast("float", epoch.validation_error) for epoch in result.epochs]
    return {
        "number": number,
        "alphabet": "norms" if norms else "seed",
        "architecture": text(layers),
        "parameters": sum(p.numel() for p in model.parameters()),
        "errors": [round(e, 5) for e in errors + errors[-1:] * (EPOCHS - len(errors))],
        "seconds": round(result.seconds, 3),
        "status": result.status,
    }


def header(data: Data) -> dict[str, object]:
    return {
        "data": data.name,
        "train": len(data.train.labels),
        "validation": len(data.validation.labels),
        "recipe": data.recipe.name,
        "epochs": EPOCHS,
        "batch": BATCH,
        "seed": "the number of the network",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": "2 cores of an AMD EPYC, x86-64, 24 GiB",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=["digits", "cifar"])
    parser.add_argument("--folder", type=Path, help="of CIFAR-10: train/<class>/*.jpg")
    parser.add_argument("--networks", type=int, default=120)
    parser.add_argument("--seconds", type=float, default=180)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = digits() if arguments.data == "digits" else cifar(arguments.folder)
    path, start = RESULTS / f"curves_{data.name}.jsonl", time.monotonic()
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text(json.dumps(header(data)) + "\n")
    for number in range(len(path.read_text().splitlines()) - 1, arguments.networks):
        row = json.dumps(record(data, number), separators=(",", ":"))
        with path.open("a") as file:
            file.write(row + "\n")
        if time.monotonic() - start > arguments.seconds:
            break


if __name__ == "__main__":
    main()
