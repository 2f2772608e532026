"""The formats of exported networks: each writer writes a file and opens it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optuna_de.cnn import standalone
from optuna_de.cnn.opening import open_model
from optuna_de.cnn.portable import (
    EXTRA_FILE,
    KEY,
    Classifier,
    Facts,
    Run,
    need,
    rebuild,
    runner,
)
from optuna_de.cnn.saved import Saved

_MOST_BYTES = 2**31 - 2**24  # protobuf's limit of 2 GiB, less room for the graph


def _safetensors(model: Saved, path: Path) -> Run:
    need("safetensors")
    from safetensors.torch import save

    path.write_bytes(save(_state(model), metadata={KEY: Facts.of(model).json()}))
    return open_model(path).run


def _state_dict(model: Saved, path: Path) -> Run:
    torch.save(_state(model), path)
    state = torch.load(path, weights_only=True)
    return runner(rebuild(Facts.of(model), state, path))


def _torch_export(model: Saved, path: Path) -> Run:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(*_example(model), dynamic_shapes=({0: batch},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    torch.export.save(program, path, extra_files={EXTRA_FILE: Facts.of(model).json()})
    return open_model(path, trust=True).run


def _onnx(model: Saved, path: Path) -> Run:
    need("onnx", "onnxscript", "onnxruntime")
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
    onnx.helper.set_model_props(proto, {KEY: Facts.of(model).json()})
    path.write_bytes(proto.SerializeToString())
    return open_model(path).run


def _strip(graph: Any) -> None:
    """Drop torch's notes on the origin of each part, paths of this machine among them."""
    for parts in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for part in parts:
            del part.metadata_props[:]


def _python(model: Saved, path: Path) -> Run:
    text = standalone.source(model.genome, model.image_shape, model.classes, model.mean, model.std)
    path.write_text(text, encoding="utf-8")
    torch.save(_state(model), path.with_suffix(".pt"))
    names: dict[str, Any] = {"__name__": "network", "__file__": str(path)}
    exec(compile(text, path.name, "exec"), names)
    return runner(names["load"]())


def _state(model: Saved) -> dict[str, Tensor]:
    state = Classifier(model.module, model.mean, model.std).state_dict()
    return {name: value.contiguous() for name, value in state.items()}


def _example(model: Saved) -> tuple[Classifier, tuple[Tensor]]:
    images = torch.zeros((2, *model.image_shape), dtype=torch.uint8)
    return Classifier(model.module, model.mean, model.std).eval(), (images,)


WRITERS: dict[str, Callable[[Saved, Path], Run]] = {
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
