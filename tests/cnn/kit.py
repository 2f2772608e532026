"""A small real set and small networks for the tests of training."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from optuna_de.cnn.data.dataset import ImageData, Split


def digits(train: int = 300, validation: int = 200) -> ImageData:
    """Return the first of scikit-learn's digits, real 8x8 images in ten classes."""
    bunch = load_digits()
    images = torch.from_numpy(bunch.images / 16 * 255).to(torch.uint8)[:, None]
    labels = torch.from_numpy(bunch.target).to(torch.int64)

    def split(part: slice) -> Split:
        chosen = images[part].contiguous(memory_format=torch.channels_last)
        return Split(chosen, labels[part])

    return ImageData(
        name="digits",
        classes=tuple("0123456789"),
        train=split(slice(train)),
        validation=split(slice(train, train + validation)),
        mean=(0.3,),
        std=(0.35,),
        split_seed=0,
        fingerprint="digits",
    )


def network(*, norm: bool = True, dropout: float = 0.5, seed: int = 0) -> nn.Sequential:
    """Return a network of two convolutions for digits."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8) if norm else nn.Identity(),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(16 * 16, 10),
        )


def weights(model: nn.Module) -> list[Tensor]:
    """Return copies of all parameters and buffers."""
    return [value.clone() for value in model.state_dict().values()]


def equal(left: list[Tensor], right: list[Tensor]) -> bool:
    """Tell whether two lists of tensors are the same bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
