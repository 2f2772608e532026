"""The formats of exported networks: each writer writes a file and opens it again."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optuna_de.cnn.export import standalone
from optuna_de.cnn.export.classifier import (
    EXTRA_FILE,
    KEY,
    Classifier,
    LogitsFunction,
    ModelMetadata,
    OpenModel,
    on_arrays,
    read_metadata,
    rebuild_classifier,
    require_modules,
)
from optuna_de.cnn.export.model_folder import TrainedModel, load_model

_MOST_BYTES = 2**31 - 2**24  # protobuf's limit of 2 GiB, less room for the graph


def _safetensors(model: TrainedModel, path: Path) -> LogitsFunction:
    require_modules("safetensors")
    from safetensors.torch import save

    path.write_bytes(save(_state(model), metadata={KEY: ModelMetadata.of(model).json()}))
    return open_model(path).run


def _state_dict(model: TrainedModel, path: Path) -> LogitsFunction:
    torch.save(_state(model), path)
    state = torch.load(path, weights_only=True)
    return on_arrays(rebuild_classifier(ModelMetadata.of(model), state, path))


def _torch_export(model: TrainedModel, path: Path) -> LogitsFunction:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(*_example(model), dynamic_shapes=({0: batch},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    torch.export.save(program, path, extra_files={EXTRA_FILE: ModelMetadata.of(model).json()})
    return open_model(path, trust=True).run


def _onnx(model: TrainedModel, path: Path) -> LogitsFunction:
    require_modules("onnx", "onnxscript", "onnxruntime")
    import onnx

    if sum(t.numel() * t.element_size() for t in _state(model).values()) > _MOST_BYTES:
        raise ValueError("The network is too large for one ONNX file, which holds 2 GiB at most.")
    batch = torch.export.Dim("batch", min=1)
    program = torch.onnx.export(
        *_example(model),
        dynamo=True,
        dynamic_shapes=({0: batch},),
        input_names=["images"],
        output_names=["logits"],
        verbose=False,
    )
    proto = program.model_proto  # type: ignore[union-attr]  # dynamo returns a program
    _strip(proto.graph)
    onnx.helper.set_model_props(proto, {KEY: ModelMetadata.of(model).json()})
    path.write_bytes(proto.SerializeToString())
    return open_model(path).run


def _strip(graph: Any) -> None:
    """Drop torch's notes on the origin of each part, paths of this machine among them."""
    for parts in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for part in parts:
            del part.metadata_props[:]


def _python(model: TrainedModel, path: Path) -> LogitsFunction:
    text = standalone.standalone_source(
        model.genome, model.image_shape, model.classes, model.mean, model.std
    )
    path.write_text(text, encoding="utf-8")
    torch.save(_state(model), path.with_suffix(".pt"))
    names: dict[str, Any] = {"__name__": "network", "__file__": str(path)}
    exec(compile(text, path.name, "exec"), names)
    return on_arrays(names["load"]())


def _state(model: TrainedModel) -> dict[str, Tensor]:
    state = Classifier(model.module, model.mean, model.std).state_dict()
    return {name: value.contiguous() for name, value in state.items()}


def _example(model: TrainedModel) -> tuple[Classifier, tuple[Tensor]]:
    images = torch.zeros((2, *model.image_shape), dtype=torch.uint8)
    return Classifier(model.module, model.mean, model.std).eval(), (images,)


WRITERS: dict[str, Callable[[TrainedModel, Path], LogitsFunction]] = {
    "safetensors": _safetensors,
    "state-dict": _state_dict,
    "torch-export": _torch_export,
    "onnx": _onnx,
    "python": _python,
}
SUFFIX = {
    "safetensors": ".safetensors",
    "state-dict": ".pt",
    "torch-export": ".pt2",
    "onnx": ".onnx",
    "python": ".py",
}
WITH_WEIGHTS = ("state-dict", "python")
"""The formats that write a ``.pt``."""


def open_model(path: str | Path, *, trust: bool = False) -> OpenModel:
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
        return OpenModel(ModelMetadata.of(saved), on_arrays(classifier))
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


def _open_onnx(path: Path) -> OpenModel:
    require_modules("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; this is about printing them too
    try:
        session: Any = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # its errors have no common class but this one
        raise ValueError(f"{path} is torn, or no ONNX file.") from None
    facts = read_metadata(session.get_modelmeta().custom_metadata_map.get(KEY), path)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    same_input = [list(i.shape[1:]) for i in inputs] == [list(facts.image_shape)]
    if not same_input or [o.shape[1:] for o in outputs] != [[len(facts.classes)]]:
        raise ValueError(
            f"{path} says it has {len(facts.classes)} classes for images of "
            f"{facts.image_shape}, but its network maps {inputs[0].shape} to {outputs[0].shape}."
        )
    name = inputs[0].name
    return OpenModel(facts, lambda images: session.run(None, {name: images})[0])


def _open_safetensors(path: Path) -> OpenModel:
    require_modules("safetensors")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        raise ValueError(f"{path} is torn, or no safetensors file.") from None
    facts = read_metadata(text, path)
    return OpenModel(facts, on_arrays(rebuild_classifier(facts, state, path)))


def _open_torch_export(path: Path) -> OpenModel:
    extra = {EXTRA_FILE: ""}
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("no archive")
        with _silent("torch.export"):
            program = torch.export.load(path, extra_files=extra)
    except Exception:  # whatever torch meets in a torn file
        raise ValueError(f"{path} is torn, or torch {torch.__version__} cannot read it.") from None
    facts = read_metadata(extra[EXTRA_FILE], path)
    return OpenModel(facts, on_arrays(program.module()))


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
