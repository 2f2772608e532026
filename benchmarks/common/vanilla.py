"""Training the way users write it, for comparison: torchvision's transforms on PIL images.

A DataLoader, images in NCHW order, modules and optimiser with torch's defaults, nothing fused.
Knows nothing of the package but how to build a network, so that both sides train the same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.data.dataset import ImageData, Split
from optuna_de.cnn.modules.build import build


class PilImages(Dataset[tuple[Tensor, int]]):
    """Images in memory, as torchvision's CIFAR10 keeps them, and a transform."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor]) -> None:
        self._images = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self._labels = split.labels.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[index])), self._labels[index]


def loader(
    data: ImageData, batch_size: int, *, workers: int = 0, train: bool = True, pin: bool = False
) -> DataLoader[tuple[Tensor, int]]:
    """Return a loader of the training images, augmented and shuffled, or of the validation's."""
    side, padding = data.image_shape[1], data.image_shape[1] // 8
    augmentation = [transforms.RandomCrop(side, padding), transforms.RandomHorizontalFlip()]
    last = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    transform = transforms.Compose([*augmentation, *last] if train else last)
    return DataLoader(
        PilImages(data.train if train else data.validation, transform),
        batch_size,
        shuffle=train,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin,
    )


def network(text: str, data: ImageData) -> nn.Module:
    """Return the network of a text with torch's default modules."""
    model = build(parse(text), data.image_shape, len(data.classes))
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model


@dataclass
class Vanilla:
    """A training in progress.

    Args:
        model: Trained in place.
        batches: The loader.
        optimiser: Of the model's parameters.
        device: Where to train.
    """

    model: nn.Module
    batches: DataLoader[tuple[Tensor, int]]
    optimiser: torch.optim.Optimizer
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def epoch(self) -> float:
        """Train on every batch once and return the seconds."""
        self.model.train()
        began = time.perf_counter()
        for images, labels in self.batches:
            self._step(images, labels)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - began

    def _step(self, images: Tensor, labels: Tensor) -> None:
        loss = F.cross_entropy(self.model(images.to(self.device)), labels.to(self.device))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def error(self, batches: DataLoader[tuple[Tensor, int]]) -> float:
        """Return the error rate in [0, 1] in ``eval()`` mode."""
        self.model.eval()
        wrong = 0
        with torch.no_grad():
            for images, labels in batches:
                answers = self.model(images.to(self.device)).argmax(1).cpu()
                wrong += int((answers != labels).sum())
        return wrong / len(batches.dataset)  # type: ignore[arg-type]
