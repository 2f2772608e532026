"""Device of a training: its choice, memory, threads and precision."""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from optuna_de._allocator import give_back_memory
from optuna_de._machine import machine_memory

if TYPE_CHECKING:
    from optuna_de.cnn.recipes import Precision

_LEAST_PIXELS = 256  # of an image, for bfloat16 on a CPU
_SLOW_KERNEL = 5  # of a depthwise convolution, in bfloat16 on a CPU


def device_memory(device: torch.device) -> tuple[int, int] | None:
    """Return the (free, total) bytes of a device, or None if the system does not tell.

    Memory that this process holds unused counts as free; on a CPU it is returned to the system.
    """
    if device.type == "cuda":
        unused, whole = torch.cuda.mem_get_info(device)
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return unused + reusable, whole
    if device.type == "cpu":
        give_back_memory()
        return machine_memory()
    return None


def use_threads(threads: int | None) -> None:
    """Set the number of torch's threads; None leaves torch's choice."""
    if threads is not None:
        torch.set_num_threads(threads)


def pick_device(name: str) -> torch.device:
    """Return the device of that name.

    Args:
        name: "auto" (CUDA, else Apple's MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        ValueError: If there is no such device, or not here.
    """
    present = _present_devices()
    if name == "auto":
        return torch.device(next(n for n in ("cuda", "mps", "cpu") if n in present))
    if name not in present:
        raise ValueError(
            f"There is no device {name!r} here; choose from auto, {', '.join(present)}."
        )
    return torch.device(name)


def _present_devices() -> list[str]:
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{i}" for i in range(cards))] if cards else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *cuda, *mps]


def uses_bfloat16(precision: Precision, device: torch.device, image_shape: Sequence[int]) -> bool:
    """Return whether to compute in bfloat16: if the device has it, and on a CPU if it is faster.

    On a CPU with AVX-512 BF16 that is the case for images of 16 x 16 pixels or more
    (``benchmarks/precision.py``); one without such instructions computes in float32.

    Args:
        precision: The recipe's.
        device: Device to compute on.
        image_shape: (c, h, w).
    """
    if precision == "float32":
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    native = device.type == "cpu" and _cpu_has_bfloat16()
    return native and image_shape[1] * image_shape[2] >= _LEAST_PIXELS


def _cpu_has_bfloat16() -> bool:
    """Ask torch; if it cannot tell, the answer is no."""
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def depthwise_in_float32(model: nn.Module, least: int = _SLOW_KERNEL) -> None:
    """Let a network compute depthwise convolutions of large kernels in float32 under autocast.

    In bfloat16 a CPU takes up to 1.7 times as long for a unit with one (``benchmarks/training``).
    :func:`depthwise_as_it_was` undoes it.

    Args:
        model: Changed in place; its weights keep their names.
        least: Smallest kernel.
    """
    free = (m for m in model.modules() if "forward" not in vars(m))
    for layer in (m for m in free if isinstance(m, nn.Conv2d)):
        if 1 < layer.groups == layer.out_channels and layer.kernel_size[0] >= least:
            layer.forward = MethodType(_in_float32, layer)  # type: ignore[method-assign]


def depthwise_as_it_was(model: nn.Module) -> None:
    """Undo :func:`depthwise_in_float32`; other replacements of a forward pass stay."""
    for layer in model.modules():
        if getattr(vars(layer).get("forward"), "__func__", None) is _in_float32:
            del layer.forward


def _in_float32(layer: nn.Conv2d, images: Tensor) -> Tensor:
    with torch.autocast(images.device.type, enabled=False):
        full: Tensor = layer._conv_forward(images.float(), layer.weight, layer.bias)
    return full.to(images.dtype)


def autocast(device: torch.device, bfloat16: bool) -> torch.autocast:
    """Return the context of a forward pass. No cast is cached: a captured graph must redo it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=False)
