"""A separable unit in bfloat16 with its depthwise convolution in bfloat16 or in float32.

Run ``python -m benchmarks.training.depthwise --save``. One thread, batches of 64: the passes
forwards and backwards of depthwise convolution, norm, ReLU, pointwise convolution, norm and ReLU,
whose input and output are bfloat16. Milliseconds of the processor, the least of the repeats.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import nn

from benchmarks.common.results import Row, header, markdown, results_of, versions, write
from optuna_de.cnn.training.device import autocast, depthwise_in_float32

RESULTS = results_of(__file__)
BATCH = 64
MAPS = ((32, 32), (16, 64), (8, 128))  # side, channels
KERNELS = ((3, 1), (5, 1), (7, 1), (7, 3))  # kernel, dilation


def unit(channels: int, kernel: int, dilation: int) -> nn.Sequential:
    """Return a separable unit."""
    padding = dilation * (kernel // 2)
    made = nn.Sequential(
        nn.Conv2d(
            channels,
            channels,
            kernel,
            padding=padding,
            dilation=dilation,
            groups=channels,
            bias=False,
        ),
        *(nn.BatchNorm2d(channels), nn.ReLU(inplace=True)),
        *(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()),
    )
    return made.to(memory_format=torch.channels_last)


def milliseconds(model: nn.Module, side: int, channels: int, repeats: int) -> float:
    """Return the processor's milliseconds of a pass forwards and backwards."""
    cpu = torch.device("cpu")
    images, gradient = (
        torch.randn(BATCH, channels, side, side)
        .to(torch.bfloat16)
        .contiguous(memory_format=torch.channels_last)
        for _ in range(2)
    )
    images.requires_grad_()
    seconds = []
    for _ in range(repeats + 2):
        model.zero_grad()
        began = time.process_time()
        with autocast(cpu, bfloat16=True):
            output = model(images)
        output.backward(gradient)
        seconds.append(time.process_time() - began)
    return 1000 * min(seconds[2:])


def measure(repeats: int) -> Iterator[Row]:
    """Yield a row for each unit."""
    for (side, channels), (kernel, dilation) in product(MAPS, KERNELS):
        model = unit(channels, kernel, dilation)
        half = milliseconds(model, side, channels, repeats)
        depthwise_in_float32(model, least=1)
        full = milliseconds(model, side, channels, repeats)
        sizes = {"side": side, "channels": channels, "kernel": kernel, "dilation": dilation}
        yield {**sizes, "bfloat16": round(half, 2), "float32": round(full, 2)}


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return a line a unit."""
    lines = [
        [
            *(f"{row[name]}" for name in ("side", "channels", "kernel", "dilation")),
            *(f"{row[name]:.1f}" for name in ("bfloat16", "float32")),
            f"{row['bfloat16'] / row['float32']:.2f}",
        ]
        for row in rows
    ]
    names = ("side", "channels", "kernel", "dilation")
    known = markdown((*names, "bfloat16, ms", "depthwise in float32, ms", "ratio"), lines)
    return f"Least of {head['n']} repeats.\n\n{known}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(measure(args.repeats))
    known = {**versions(), "torch": torch.__version__}
    head = header(args.repeats, versions=known, load=os.getloadavg())
    print(table(head, rows))
    if args.save:
        print(write(RESULTS / "depthwise.jsonl", head, rows))


if __name__ == "__main__":
    main()
