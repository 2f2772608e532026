"""Small networks that tell real images apart, saved as a training saves them."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.export.model_folder import load_model, save_model
from optuna_de.cnn.modules.build import build

EVERY_UNIT = "C7k3-MP-B8k1-M8-I8k3s2-G8k3-A8k5-S8k3-R12k5-R12k3-D9k7-P10k3-AP"
SHAPE = (3, 16, 16)
CLASSES = ("it's", 'a "quoted" \\ one', "日本", "[red]", "\udc80", "4", "5", "6", "7", "8")
MEAN, STD = (0.3, 0.2, 0.1), (0.4, 0.3, 0.2)


def real_images(shape: ImageShape, n: int = 30) -> NDArray[np.uint8]:
    """Return the last digits as uint8 (n, c, h, w), other ones than exports are checked with."""
    c, h, w = shape
    greys = (load_digits().images[-n:] * (255 / 16)).astype(np.uint8)
    sized = [np.asarray(Image.fromarray(grey).resize((w, h))) for grey in greys]
    tinted = np.linspace(1, 0.5, c)[:, None, None] * np.stack(sized)[:, None]
    images: NDArray[np.uint8] = tinted.astype(np.uint8)
    return images


def normalised(images: NDArray[np.uint8]) -> torch.Tensor:
    c = images.shape[1]
    mean, std = (np.array(values)[:c, None, None] for values in (MEAN, STD))
    return torch.from_numpy(((images / 255.0) - mean) / std).float()


def save(folder: Path, text: str, shape: ImageShape = SHAPE, classes: int = 10) -> Path:
    """Save a network whose norms have seen images and whose logits vary by about 3."""
    folder.mkdir(exist_ok=True, parents=True)
    images = normalised(real_images(shape, 100))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(len(text))
        module = build(parse(text), shape, classes)
        for weight in module.parameters():
            if weight.ndim > 1:
                torch.nn.init.kaiming_normal_(weight, nonlinearity="relu")
        for part in torch.split(images, 10):
            module.train()(part)
        last = module[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight *= 3 / module.eval()(images).std(0).mean()
        last.bias.sub_(module(images).mean(0))
    save_model(
        folder,
        genome=parse(text),
        state=module.state_dict(),
        image_shape=shape,
        classes=CLASSES[:classes],
        mean=MEAN[: shape[0]],
        std=STD[: shape[0]],
    )
    return folder


def logits(folder: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what torch answers, and see that it depends on the images."""
    with torch.no_grad():
        values: NDArray[np.float32] = load_model(folder).module.eval()(normalised(images)).numpy()
    assert values.std(0).mean() > 1
    return values


def agree(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Assert that logits differ by rounding alone."""
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
