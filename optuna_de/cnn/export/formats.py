"""Export formats: for each, a writer and a reader."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

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
from optuna_de.cnn.export.tflite import MODULES, open_tflite, write_tflite

_MOST_BYTES = 2**31 - 2**24  # protobuf's limit of 2 GiB, less room for the graph


def _write_safetensors(model: TrainedModel, path: Path) -> LogitsFunction:
    from safetensors.torch import save

    path.write_bytes(save(_state(model), metadata={KEY: ModelMetadata.of(model).json()}))
    return open_model(path).logits


def _write_state_dict(model: TrainedModel, path: Path) -> LogitsFunction:
    torch.save(_state(model), path)
    state = torch.load(path, weights_only=True)
    return on_arrays(rebuild_classifier(ModelMetadata.of(model), state, path))


def _write_torch_export(model: TrainedModel, path: Path) -> LogitsFunction:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(*_example(model), dynamic_shapes=({0: batch},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    torch.export.save(program, path, extra_files={EXTRA_FILE: ModelMetadata.of(model).json()})
    return open_model(path, trust=True).logits


def _write_onnx(model: TrainedModel, path: Path) -> LogitsFunction:
    import onnx

    if sum(t.numel() * t.element_size() for t in _state(model).values()) > _MOST_BYTES:
        raise ValueError("The network is too large for one ONNX file, which holds 2 GiB at most.")
    batch = torch.export.Dim("batch", min=1)
    program = torch.onnx.export(
        *_example(replace(model, module=_with_means(model.module))),
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
    return open_model(path).logits


class _Mean(nn.Module):
    """Mean of each channel: (n, c, h, w) to (n, c, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


def _with_means(module: nn.Sequential) -> nn.Sequential:
    """Return a copy with means as global pools; behind a channel norm torch writes eight nodes."""
    changed = deepcopy(module)
    for parent in list(changed.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d):
                setattr(parent, name, _Mean())
    return changed


def _strip(graph: Any) -> None:
    """Drop torch's notes on the origin of each part, paths of this machine among them."""
    del graph.metadata_props[:]  # a sixth of a small int8 file
    for parts in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for part in parts:
            del part.metadata_props[:]


def _write_python(model: TrainedModel, path: Path) -> LogitsFunction:
    text = standalone.standalone_source(
        *(model.genome, model.image_shape, model.classes, model.mean, model.std),
        model.resizing,
        model.tta,
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
    return Classifier(model.module, model.mean, model.std, model.tta).eval(), (images,)


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format of exported networks.

    Args:
        suffix: Suffix of the file, with its dot.
        write: Writes a network to a file, opens that again and returns its logits.
        modules: Modules of the extra that it needs.
        open: Opens a file for :func:`open_model`; None if a file alone is no classifier.
        weights: Whether a ``.pt`` with the weights is written, too.
        code: Whether opening can run code from the file, so that its author must be trusted.
        extra: The package's extra that holds the modules; "all" leaves out formats of others that
            are not installed.
    """

    suffix: str
    write: Callable[[TrainedModel, Path], LogitsFunction]
    modules: tuple[str, ...] = ()
    open: Callable[[Path], OpenModel] | None = None
    weights: bool = False
    code: bool = False
    extra: str = "export"

    @property
    def installed(self) -> bool:
        """Whether its modules can be found."""
        return all(find_spec(module) is not None for module in self.modules)


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
        raise ValueError(f"{path} is incomplete or not an ONNX file.") from None
    metadata = read_metadata(session.get_modelmeta().custom_metadata_map.get(KEY), path)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    same_input = [list(i.shape[1:]) for i in inputs] == [list(metadata.image_shape)]
    if not same_input or [o.shape[1:] for o in outputs] != [[len(metadata.classes)]]:
        raise ValueError(
            f"{path} says it has {len(metadata.classes)} classes for images of "
            f"{metadata.image_shape}, but its network maps {inputs[0].shape} to "
            f"{outputs[0].shape}."
        )
    name = inputs[0].name
    return OpenModel(metadata, lambda images: session.run(None, {name: images})[0])


def _open_safetensors(path: Path) -> OpenModel:
    require_modules("safetensors")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        raise ValueError(f"{path} is incomplete or not a safetensors file.") from None
    metadata = read_metadata(text, path)
    return OpenModel(metadata, on_arrays(rebuild_classifier(metadata, state, path)))


def _open_torch_export(path: Path) -> OpenModel:
    extra = {EXTRA_FILE: ""}
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("no archive")
        with _silent("torch.export"):
            program = torch.export.load(path, extra_files=extra)
    except Exception:  # torch raises many kinds for a damaged file
        raise ValueError(
            f"{path} is incomplete or not a file that torch {torch.__version__} can read."
        ) from None
    metadata = read_metadata(extra[EXTRA_FILE], path)
    return OpenModel(metadata, on_arrays(program.module()))


@contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Keep a logger from printing tracebacks of errors that are raised as well."""
    silenced = logging.getLogger(logger)
    before, silenced.disabled = silenced.disabled, True
    try:
        yield
    finally:
        silenced.disabled = before


FORMATS = {
    "safetensors": ExportFormat(
        ".safetensors", _write_safetensors, ("safetensors",), _open_safetensors
    ),
    "state-dict": ExportFormat(".pt", _write_state_dict, weights=True),
    "torch-export": ExportFormat(".pt2", _write_torch_export, open=_open_torch_export, code=True),
    "onnx": ExportFormat(".onnx", _write_onnx, ("onnx", "onnxscript", "onnxruntime"), _open_onnx),
    "python": ExportFormat(".py", _write_python, weights=True),
    "tflite": ExportFormat(".tflite", write_tflite, MODULES, open_tflite, extra="tflite"),
}
"""Export formats by name; a new format is a row."""
_OPENABLE = {form.suffix: form for form in FORMATS.values() if form.open is not None}


def open_model(path: str | Path, *, trust: bool = False) -> OpenModel:
    """Open a model folder or an exported ``.onnx``, ``.safetensors`` or ``.pt2``, on the CPU.

    Args:
        path: The folder or file.
        trust: Whether to read a ``.pt2`` file. ``torch.export.load`` can run code from the file.
            The other formats contain data only.

    Raises:
        ValueError: If there is none, it is damaged or foreign, or an extra is missing.

    Example:
        >>> open_model("net.onnx").metadata.classes
    """
    path = Path(path)
    if path.is_dir():
        model = load_model(path)
        classifier = Classifier(model.module, model.mean, model.std, model.tta).eval()
        return OpenModel(ModelMetadata.of(model), on_arrays(classifier))
    if not path.is_file():
        raise ValueError(f"There is no model {path}.")
    if path.suffix == ".py":
        raise ValueError(
            f"{path} is a program, not a model file; run it on one image: python {path} IMAGE."
        )
    form = _OPENABLE.get(path.suffix)
    if form is None or form.open is None:
        raise ValueError(
            f"{path} is no model; give a model folder or a file {', '.join(_OPENABLE)} that "
            "optuna-de export wrote."
        )
    if form.code and not trust:
        raise ValueError(
            f"Loading {path} can run code from the file. Give --trust if you trust its author, "
            "or use the .onnx or .safetensors of the same network."
        )
    return form.open(path)
