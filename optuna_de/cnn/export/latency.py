"""Measurement of latency: onnxruntime on this machine, or a user's command on another device.

Protocol here: one thread, one image, 10 runs to warm up, then at least 30 runs and a fifth of a
second. The median counts of the runs that other work left nine tenths of their time to the thread.
Where these are fewer than 10, runs go on up to three times as long; then the median of the
thread's own time counts.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from optuna.distributions import IntDistribution

from optuna_de._checks import require
from optuna_de._files import warn_once
from optuna_de._machine import machine
from optuna_de._text import shell_line
from optuna_de.cnn.architecture.genomes import parse, render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.prices.latency import LatencyTable, MeasurementError
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.architecture.units import GAP, Unit
from optuna_de.cnn.export.classifier import require_modules
from optuna_de.cnn.export.formats import FORMATS
from optuna_de.cnn.export.model_folder import TrainedModel
from optuna_de.cnn.modules.build import build

WARM_UP, RUNS, SECONDS, ATTEMPTS = 10, 30, 0.2, 3
DISTURBED = 0.1
"""Share of a run's time taken by other work from which the run does not count."""
LEAST = 10
"""Undisturbed runs whose median counts."""
NETWORKS = 60
"""Whole networks that a table is calibrated on, beside networks of one layer."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Latency measurement of a network on this machine.

    Args:
        milliseconds: Median of the undisturbed runs; of the thread's own time without enough.
        runs: Number of all runs.
        interference: Share of the time, in [0, 1], in which the thread did not run.
        undisturbed: Number of the runs whose time the thread had.
    """

    milliseconds: float
    runs: int
    interference: float
    undisturbed: int


def export_untrained(
    genome: Sequence[Unit], image_shape: ImageShape, classes: int, path: Path
) -> None:
    """Export a network with random weights to an ONNX file, for a measurement of its latency."""
    names = tuple(map(str, range(classes)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(tuple(genome), image_shape, classes).eval()
    mean, std = (0.5,) * image_shape[0], (0.25,) * image_shape[0]
    model = TrainedModel(tuple(genome), module, image_shape, names, mean, std)
    FORMATS["onnx"].write(model, path)


def time_onnx_file(path: Path, image_shape: ImageShape) -> Timing:
    """Measure the latency of an ONNX file on this machine by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).integers(0, 256, (1, *image_shape), dtype=np.uint8)

    def run() -> None:
        session.run(None, {session.get_inputs()[0].name: images})

    for _ in range(WARM_UP):
        run()
    times: list[tuple[float, float]] = []
    for _ in range(ATTEMPTS):
        times += _times(run)
        if len(_undisturbed(times)) >= LEAST:
            break
    return _timing(times)


def _times(run: Callable[[], None]) -> list[tuple[float, float]]:
    """Return the time of each of some runs, and that of the thread, in seconds."""
    times: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(times) < RUNS or time.perf_counter() - began < SECONDS:
        start, worked = time.perf_counter(), time.thread_time()
        run()
        own = time.thread_time() - worked
        times.append((time.perf_counter() - start, own))
    return times


def _undisturbed(times: Sequence[tuple[float, float]]) -> list[float]:
    return [wall for wall, own in times if own >= (1 - DISTURBED) * wall]


def _timing(times: Sequence[tuple[float, float]]) -> Timing:
    """Return the timing of runs, each with its time and that of the thread, in seconds."""
    whole = _undisturbed(times)
    wall, own = (sum(column) for column in zip(*times, strict=True))
    counted = whole if len(whole) >= LEAST else [own for _, own in times]
    share = min(max(1 - own / wall, 0.0), 1.0)
    return Timing(1e3 * median(counted), len(times), share, len(whole))


def ask_device(command: str, path: Path, timeout: float) -> float:
    """Ask another device for the latency of an ONNX file: a user's command prints it last.

    Args:
        command: A shell command; ``{model}`` stands for the file.
        path: The file.
        timeout: Seconds after which the command is stopped, with its children.

    Raises:
        MeasurementError: If it fails, takes too long, or its last line is not one number above 0.
    """
    filled = command.replace("{model}", shell_line([str(path)]))
    process = subprocess.Popen(
        filled,
        shell=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        raise MeasurementError(
            f"The device command did not answer within {timeout:g} s: {filled}"
        ) from None
    if process.returncode:
        said = " ".join(err.split())[-200:]
        raise MeasurementError(
            f"The device command ended with code {process.returncode}"
            f"{f' ({said})' if said else ''}."
        )
    return _milliseconds(out)


def _end(process: subprocess.Popen[str]) -> None:
    """Stop a command and its children."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:  # Windows: a child that lives on would hold the output open
        kill = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
        subprocess.run(kill, capture_output=True, check=False)
    process.kill()
    process.communicate()


def _milliseconds(out: str) -> float:
    last = (out.strip().splitlines() or [""])[-1].strip()
    try:
        value = float(last)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise MeasurementError(
            "The last line of the device command must be one number of ms above 0, but is "
            f"{last[:80]!r}."
        )
    return value


@dataclass(frozen=True)
class LatencyMeter:
    """Measurement of latency by onnxruntime on this machine, or on another device by a command.

    Args:
        command: See :func:`ask_device`; None measures on this machine.
        timeout: Seconds for the command, above 0.

    Raises:
        ValueError: If the command has no ``{model}``, or an extra is missing.
    """

    command: str | None = None
    timeout: float = 60.0

    def __post_init__(self) -> None:
        right = self.command is None or "{model}" in self.command
        require(right, "device_command", self.command, "a command with {model} for the file")
        require(self.timeout > 0, "device_timeout", self.timeout, "above 0")
        require_modules(*FORMATS["onnx"].modules)

    @property
    def text(self) -> str:
        """What measures, in words."""
        return f"onnxruntime on {machine()}" if self.command is None else self.command

    def measure(self, genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> float:
        """Return the latency of a network for one image, in ms.

        Raises:
            MeasurementError: If it cannot be measured.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "network.onnx")
            export_untrained(genome, image_shape, classes, path)
            if self.command is not None:
                return ask_device(self.command, path, self.timeout)
            timing = time_onnx_file(path, image_shape)
        if timing.undisturbed < LEAST:
            warn_once(
                "Latencies are measured beside other work, which took "
                f"{timing.interference:.0%} of the time of one; the thread's own time counts."
            )
        return timing.milliseconds

    def table(
        self,
        units: Sequence[type[Unit]],
        side: int,
        *,
        rows: int = 8,
        networks: int = NETWORKS,
    ) -> LatencyTable:
        """Measure a latency table: networks of one layer, then whole ones that calibrate it.

        Args:
            units: Kinds of units.
            side: Of the images that whole networks take.
            rows: Networks of one layer, of each kind.
            networks: Whole ones, drawn as the first ones of a search.

        Raises:
            MeasurementError: If one cannot be measured.
        """
        chosen = (*_layer_networks(units, side, rows), *_whole_networks(units, side, networks))
        times = [(text, shape, self.measure(parse(text), shape, 10)) for text, shape in chosen]
        return LatencyTable(self.text, tuple(times))


def _layer_networks(
    units: Sequence[type[Unit]], side: int, rows: int
) -> Iterator[tuple[str, ImageShape]]:
    """Yield networks of one unit and their image shapes: kinds in turn, sizes at random."""
    rng = np.random.default_rng(0)
    for unit in units:
        for number in range(rows):
            inputs = int(np.exp(rng.uniform(np.log(8), np.log(160))))
            height = max(2, side // 2 ** (number % 4))
            genome = (_unit(unit, inputs, rng), GAP())
            yield render(genome), (inputs, height, height)


def _whole_networks(
    units: Sequence[type[Unit]], side: int, networks: int
) -> Iterator[tuple[str, ImageShape]]:
    """Yield networks as a search draws its first ones, and their image shape."""
    shape = (3, side, side)
    rng, space = np.random.default_rng(1), CNNSpace(shape, 10, units=tuple(units))
    for _ in range(networks):
        yield render(space.decode(space.initial(rng))), shape


def _unit(unit: type[Unit], inputs: int, rng: np.random.Generator) -> Unit:
    """Return a unit of random size; every other one keeps the number of channels."""
    values: dict[str, int] = {}
    for name, span in unit.distributions.items():
        if isinstance(span, IntDistribution):
            low, high = max(span.low, min(span.high, 8)), min(span.high, 160)
            low = span.low if name != "channels" else low
            value = int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))
            values[name] = value - (value - span.low) % span.step
    if "channels" in values and rng.random() < 0.5:
        values["channels"] = max(inputs, 8)
    return unit(**values)
