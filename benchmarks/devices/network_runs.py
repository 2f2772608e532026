"""Runs of exported networks under onnxruntime: what its profiler saw, and the memory alive."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from optuna_de.cnn.architecture.genomes import Genome
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.space import MODERN_UNITS, CNNSpace
from optuna_de.cnn.architecture.units import Dilated, Grouped, Inverted, Mixer, Unit
from optuna_de.cnn.export.classifier import Classifier
from optuna_de.cnn.export.formats import FORMATS
from optuna_de.cnn.export.model_folder import TrainedModel
from optuna_de.cnn.modules.build import build

IN_PLACE = (
    *("Relu", "Add", "Mul", "Sub", "Div", "HardSwish", "HardSigmoid", "Gelu", "Cast"),
    "LayerNormalization",
)
CONSTANTS = ("Identity", "Constant")  # weights under another name
VIEWS = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")
EVERY_UNIT: tuple[type[Unit], ...] = (*MODERN_UNITS, Inverted, Mixer, Grouped, Dilated)


def random_networks(seed: int, n: int, shape: ImageShape = (3, 32, 32)) -> Iterator[Genome]:
    """Draw networks of every kind of unit from the initial distribution."""
    rng, space = np.random.default_rng(seed), CNNSpace(shape, 10, units=EVERY_UNIT)
    for _ in range(n):
        yield space.decode(space.initial(rng))


def export_untrained(genome: Genome, shape: ImageShape, path: Path, seed: int = 0) -> Path:
    """Export a network with random weights to ONNX and return the file.

    Scales, shifts and moments of norms are random, too: untrained ones leave no biases in a file.
    """
    torch.manual_seed(seed)
    names = tuple(map(str, range(10)))
    c = shape[0]
    module = build(genome, shape, 10).eval()
    for name, values in module.state_dict().items():
        if values.ndim == 1 and name.rpartition(".")[2] != "num_batches_tracked":
            values.uniform_(0.5, 1.5)
    FORMATS["onnx"].write(
        TrainedModel(genome, module, shape, names, (0.5,) * c, (0.25,) * c), path
    )
    return path


def export_quickly(genome: Genome, shape: ImageShape, path: Path) -> Path:
    """Export a network with random weights by torch's older exporter, in a twentieth of the time.

    The layers are those of the package's own files; ``latency_table`` compares both.
    """
    torch.manual_seed(0)
    c = shape[0]
    model = Classifier(build(genome, shape, 10).eval(), (0.5,) * c, (0.25,) * c).eval()
    images = torch.zeros((1, *shape), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (images,), str(path), dynamo=False, input_names=["images"])
    return path


@dataclass(frozen=True)
class Step:
    """A node that ran: its operator, the names it read and wrote, the float outputs' sizes."""

    operator: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    sizes: tuple[int, ...]


def steps_of_run(path: Path, shape: ImageShape) -> list[Step]:
    """Run a file on one image under onnxruntime's profiler; return its nodes as they ran.

    The runtime splits HardSwish in two nodes; they count as the one that the file has.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder, "run"))
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        session.run(None, {"images": np.zeros((1, *shape), np.uint8)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    graph = onnx.load(path).graph
    nodes = {node.name: node for node in graph.node}
    swishes = iter([node for node in graph.node if node.op_type == "HardSwish"])
    steps = []
    for event in events:
        name = event["name"].removesuffix("_kernel_time")
        if event.get("cat") != "Node" or name == event["name"]:
            continue
        if name in nodes or name.startswith("Mul_"):
            node = nodes[name] if name in nodes else next(swishes)
            if node.op_type not in CONSTANTS:
                steps.append(_step(node, event["args"]["output_type_shape"]))
    return steps


def _step(node: Any, outputs: Sequence[dict[str, list[int]]]) -> Step:
    sizes = tuple(prod(out["float"]) if "float" in out else 0 for out in outputs)
    return Step(node.op_type, tuple(node.input), tuple(filter(None, node.output)), sizes)


def peak_alive(steps: Sequence[Step]) -> int:
    """Return the most float numbers in tensors alive at once; weights do not count.

    A node may write over an input of its output's size that nothing reads later.
    """
    last = {name: k for k, step in enumerate(steps) for name in step.reads}
    buffers: dict[str, str] = {}
    sizes: dict[str, int] = {}
    peak = 0
    for k, step in enumerate(steps):
        for name, size in zip(step.writes, step.sizes, strict=True):
            buffers[name] = _buffer(step, name, size, buffers, sizes, last, k)
            sizes.setdefault(buffers[name], size)
        alive = {buffers[n] for n in buffers if last.get(n, -1) >= k or n in step.writes}
        peak = max(peak, sum(sizes[buffer] for buffer in alive))
    return peak


def _buffer(
    step: Step,
    name: str,
    size: int,
    buffers: dict[str, str],
    sizes: dict[str, int],
    last: dict[str, int],
    now: int,
) -> str:
    """Return the buffer that an output is written to: an input's, or its own."""
    inputs = [buffers[read] for read in step.reads if read in buffers]
    if step.operator in VIEWS and inputs:
        return inputs[0]
    for buffer in inputs if step.operator in IN_PLACE else ():
        needed = any(b == buffer and last.get(n, -1) > now for n, b in buffers.items())
        if sizes[buffer] == size and not needed:
            return buffer
    return name
