"""Opening a model folder or an exported file, to ask the network about images."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from optuna_de.cnn.portable import (
    EXTRA_FILE,
    KEY,
    Classifier,
    Facts,
    Opened,
    need,
    read_facts,
    rebuild,
    runner,
)
from optuna_de.cnn.saved import load_model


def open_model(path: str | Path, *, trust: bool = False) -> Opened:
    """Open a model folder or an exported ``.onnx``, ``.safetensors`` or ``.pt2``, on the CPU.

    Args:
        path: The folder or file.
        trust: Whether a ``.pt2`` may be read: ``torch.export.load`` unpickles and evaluates, so
            such a file can run any code. The other formats are data alone.

    Raises:
        ValueError: Where there is none, it is torn or foreign, or an extra is missing.
    """
    path = Path(path)
    if path.is_dir():
        saved = load_model(path)
        classifier = Classifier(saved.module, saved.mean, saved.std).eval()
        return Opened(Facts.of(saved), runner(classifier))
    if not path.is_file():
        raise ValueError(f"There is no model {path}.")
    if path.suffix == ".pt2" and not trust:
        raise ValueError(
            f"{path} could run any code while torch loads it; give --trust if you know who wrote "
            "it, or use the .onnx or .safetensors of the same network."
        )
    if path.suffix not in _OPEN:
        raise ValueError(
            f"{path} is no model; give a model folder or a file {', '.join(_OPEN)} that "
            "optuna-de export wrote."
        )
    return _OPEN[path.suffix](path)


def _open_onnx(path: Path) -> Opened:
    need("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; this is about printing them too
    try:
        session: Any = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # its errors have no common class but this one
        raise ValueError(f"{path} is torn, or no ONNX file.") from None
    facts = read_facts(session.get_modelmeta().custom_metadata_map.get(KEY), path)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    same_input = [list(i.shape[1:]) for i in inputs] == [list(facts.image_shape)]
    if not same_input or [o.shape[1:] for o in outputs] != [[len(facts.classes)]]:
        raise ValueError(
            f"{path} says it has {len(facts.classes)} classes for images of "
            f"{facts.image_shape}, but its network maps {inputs[0].shape} to {outputs[0].shape}."
        )
    name = inputs[0].name
    return Opened(facts, lambda images: session.run(None, {name: images})[0])


def _open_safetensors(path: Path) -> Opened:
    need("safetensors")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        raise ValueError(f"{path} is torn, or no safetensors file.") from None
    facts = read_facts(text, path)
    return Opened(facts, runner(rebuild(facts, state, path)))


def _open_torch_export(path: Path) -> Opened:
    extra = {EXTRA_FILE: ""}
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("no archive")
        with _silent("torch.export"):
            program = torch.export.load(path, extra_files=extra)
    except Exception:  # whatever torch meets in a torn file
        raise ValueError(f"{path} is torn, or torch {torch.__version__} cannot read it.") from None
    facts = read_facts(extra[EXTRA_FILE], path)
    return Opened(facts, runner(program.module()))


@contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Keep a logger from printing tracebacks of errors that are raised as well."""
    found = logging.getLogger(logger)
    before, found.disabled = found.disabled, True
    try:
        yield
    finally:
        found.disabled = before


_OPEN = {".onnx": _open_onnx, ".safetensors": _open_safetensors, ".pt2": _open_torch_export}
