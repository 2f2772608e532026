"""Export of a trained network. A file is kept only if its outputs match PyTorch's on real images.

Each file is written to a temporary folder, opened again and checked, then moved to its place.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from optuna_de._files import replace_file
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.data import augmentation
from optuna_de.cnn.data.reading.images import fit_to, read_image
from optuna_de.cnn.export import model_folder
from optuna_de.cnn.export.classifier import LogitsFunction, on_arrays, require_modules
from optuna_de.cnn.export.formats import FORMATS
from optuna_de.cnn.export.model_folder import load_model
from optuna_de.cnn.export.predict import image_files
from optuna_de.cnn.modules.tta import Averaged, check_tta

TOLERANCE = 1e-4
"""Largest difference of logits from PyTorch's, as a part of the largest logit or of 1."""
CHECKED = 64
"""Most images that a file is checked with."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written and checked.

    Args:
        path: The file.
        images: Number and source of the images it was checked with.
        difference: Largest absolute difference of its logits from PyTorch's.
        largest: Largest absolute logit of PyTorch.
    """

    path: Path
    images: str
    difference: float
    largest: float


def export_model(
    folder: str | Path,
    fmt: str,
    out: str | Path,
    *,
    check: str | Path | None = None,
    images: tuple[NDArray[np.uint8], str] | None = None,
    tta: str | None = None,
) -> Exported:
    """Export a trained network to one format and check its outputs against PyTorch on real images.

    Args:
        folder: Written by :func:`optuna_de.cnn.export.model_folder.save_model`.
        fmt: A key of :data:`FORMATS`. "python" also writes the weights, ``out`` with the
            suffix ``.pt``.
        out: The file, with the format's suffix; an existing one is replaced.
        check: Folder of images to check with, any below it; None takes ``images``.
        images: Images to check with, uint8 ``(n, c, h, w)``, and their source in words; the first
            64 are used. None takes scikit-learn's digits.
        tta: Test-time augmentation of the exported network, a key of
            :data:`optuna_de.cnn.modules.tta.TTA`; None is what it was trained for.

    Raises:
        ValueError: If an argument is wrong, an extra is missing or the check fails; then no file
            has changed.

    Example:
        >>> export_model("models/20k", "onnx", "net.onnx").difference
    """
    out = Path(out)
    _check_target(fmt, out, Path(folder))
    model = load_model(folder)
    if tta is not None:
        check_tta(tta)
        model = replace(model, tta=tta)
    if not all(0 < s < inf for s in model.std) or not all(map(isfinite, model.mean)):
        raise ValueError(f"mean {model.mean} or std {model.std} of {folder} cannot normalise.")
    if check is None and images is not None:
        real, source = images[0][:CHECKED], f"{min(CHECKED, len(images[0]))} {images[1]}"
    else:
        real, source = _real_images(model.image_shape, None if check is None else Path(check))
    expected = _reference(model, real)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as folder_of_draft:
        draft = Path(folder_of_draft) / out.name
        logits = _written(model, fmt, draft)
        difference, largest = _compare(logits, real, expected, fmt)
        for file in sorted(draft.parent.iterdir(), key=lambda f: f.suffix == out.suffix):
            replace_file(file, out.parent / file.name)
    return Exported(out, source, difference, largest)


def _written(model: model_folder.TrainedModel, fmt: str, draft: Path) -> LogitsFunction:
    """Write a draft; an exception of the converter becomes one sentence."""
    try:
        return FORMATS[fmt].write(model, draft)
    except (ValueError, OSError):
        raise
    except Exception as error:  # torch's exporters raise many kinds
        words = " ".join(str(error).split())[:200]
        raise ValueError(
            f"The network could not be exported to {fmt}: {type(error).__name__}: {words}."
        ) from None


def _check_target(fmt: str, out: Path, folder: Path) -> None:
    if fmt not in FORMATS:
        raise ValueError(f"There is no format {fmt!r}; choose from {', '.join(FORMATS)}.")
    form = FORMATS[fmt]
    require_modules(*form.modules, extra=form.extra)
    if out.suffix != form.suffix:
        raise ValueError(f"{out} must end in {form.suffix} for the format {fmt}.")
    if not out.parent.is_dir() or out.is_dir():
        raise ValueError(f"{out} cannot be written; name a file in a folder.")
    if (
        out.with_suffix(".pt").resolve() == (folder / model_folder.WEIGHTS).resolve()
        and form.weights
    ):
        raise ValueError(f"{out} would replace the model's own weights; choose another --out.")


def _real_images(shape: ImageShape, folder: Path | None) -> tuple[NDArray[np.uint8], str]:
    """Return uint8 (n, c, h, w) and their source in words."""
    size = "x".join(map(str, shape))
    if folder is None:
        from sklearn.datasets import load_digits

        greys = np.rint(load_digits().images[:CHECKED] * (255 / 16)).astype(np.uint8)
        images = [fit_to(Image.fromarray(grey), shape) for grey in greys]
        return np.stack(images), f"{CHECKED} of scikit-learn's digits as {size}"
    files = image_files(folder)
    chosen = files[:: -(-len(files) // CHECKED)]
    images = [read_image(Path(file), shape) for file in chosen]
    return np.stack(images), f"{len(chosen)} of the {len(files)} images of {folder} as {size}"


def _reference(model: model_folder.TrainedModel, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return PyTorch's logits (n, classes), computed as a training scores its networks."""
    side = (model.image_shape[1], model.image_shape[2])
    normalise = augmentation.normaliser(model.mean, model.std, side, torch.device("cpu"))
    network = Averaged(model.module, model.tta).eval()
    expected = on_arrays(lambda batch: network(normalise(batch)))(images)
    if not np.isfinite(expected).all():
        raise ValueError("The network's outputs for real images are not finite numbers.")
    return expected


def _compare(
    logits: LogitsFunction, images: NDArray[np.uint8], expected: NDArray[np.float32], fmt: str
) -> tuple[float, float]:
    """Return the largest difference, over the whole batch and one image alone, and logit."""
    rows = (slice(None), slice(1))
    pairs = [(logits(images[row]), expected[row]) for row in rows]
    if any(is_.shape != ought.shape for is_, ought in pairs):
        raise ValueError(f"The {fmt} file gives {pairs[0][0].shape}, not {expected.shape}.")
    difference = max(float(np.abs(is_ - ought).max()) for is_, ought in pairs)
    largest = float(np.abs(expected).max())
    if not difference <= TOLERANCE * max(1.0, largest):
        raise ValueError(
            f"The {fmt} file was not kept: its outputs differ from PyTorch's by {difference:.1e}."
        )
    return difference, largest
