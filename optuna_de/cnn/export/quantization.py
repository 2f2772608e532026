"""Quantization of an exported ONNX file to int8, by onnxruntime's static method.

Weights are quantised per channel, activations per tensor by the least and largest value that they
take for calibration images; the file holds pairs of QuantizeLinear and DequantizeLinear (QDQ).
Source: onnxruntime, "Quantize ONNX models". The normalisation of the images stays float32.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_de.cnn.export.classifier import require_modules
from optuna_de.cnn.export.formats import FORMATS, open_model
from optuna_de.cnn.export.model_folder import load_model

CALIBRATION_IMAGES = 256
"""Most images that the ranges of activations are taken from."""
_BATCH = 64


def quantize_to_int8(
    folder: str | Path, out: str | Path, images: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Quantization to int8 of the exported ONNX file of a folder, calibrated on images.

    Args:
        folder: Written by :func:`optuna_de.cnn.export.model_folder.save_model`.
        out: The file, ending in ``.onnx``; an existing one is replaced in one step.
        images: Calibration images, uint8 ``(n, c, h, w)``; the first 256 are used.

    Returns:
        The sizes of the float32 and of the int8 file, in bytes.

    Raises:
        ValueError: If an argument is wrong, an extra is missing or onnxruntime cannot convert the
            network; then no file has changed.
    """
    out = Path(out)
    require_modules(*FORMATS["onnx"].modules)
    if out.suffix != ".onnx" or not out.parent.is_dir() or out.is_dir():
        raise ValueError(f"{out} cannot be written; name a file that ends in .onnx in a folder.")
    if not len(images):
        raise ValueError("There are no images to calibrate int8 with; give some with --data.")
    model = load_model(folder)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as place:
        exported, draft = Path(place, "float.onnx"), Path(place, out.name)
        FORMATS["onnx"].write(model, exported)
        convert_to_int8(exported, draft, images[:CALIBRATION_IMAGES])
        sizes = np.array([exported.stat().st_size, draft.stat().st_size])
        _check(draft, images[:CALIBRATION_IMAGES])
        draft.replace(out)
    return sizes


def convert_to_int8(exported: Path, draft: Path, images: NDArray[np.uint8]) -> None:
    """Quantization of a float32 ONNX file to an int8 draft, by onnxruntime's static method.

    Raises:
        ValueError: If onnxruntime cannot convert it.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = exported.with_name("prepared.onnx")
    try:
        with _quiet():
            quant_pre_process(exported, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                draft,
                _reader(images),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
            )
            proto = onnx.load(draft)
            before = {p.key: p.value for p in onnx.load(exported).metadata_props}
            onnx.helper.set_model_props(proto, before)
            draft.write_bytes(proto.SerializeToString())
    except Exception as error:  # a converter raises whatever it meets
        raise ValueError(
            f"onnxruntime could not convert the network to int8: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}. The float32 file works: leave --quantize out."
        ) from None


def _reader(images: NDArray[np.uint8]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        """Hands batches of images to the calibration."""

        def __init__(self) -> None:
            starts = range(0, len(images), _BATCH)
            self._batches = iter([{"images": images[i : i + _BATCH]} for i in starts])

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            return next(self._batches, None)

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from logging hints and warning of its own parts."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(before)


def _check(draft: Path, images: NDArray[np.uint8]) -> None:
    """Open the file again; its logits must be finite and follow the images."""
    logits = open_model(draft).logits(images)
    if not np.isfinite(logits).all():
        raise ValueError("The int8 file was not kept: its outputs are not finite numbers.")
