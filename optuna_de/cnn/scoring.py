"""Scoring a network on a split, and choosing the device to do so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optuna_de.cnn import augment

if TYPE_CHECKING:
    from optuna_de.cnn.data import Split
    from optuna_de.cnn.recipes import Precision

_LEAST_PIXELS = 256  # of an image, for bfloat16 on a CPU


def pick_device(name: str) -> torch.device:
    """Return the device of that name.

    Args:
        name: "auto" (CUDA, else Apple's MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        ValueError: Where there is no such device, or not here.
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
    """Tell whether to compute in bfloat16: where the arithmetic has it, and on a CPU pays.

    On a CPU with AVX-512 BF16 that is the case for images of 16 x 16 pixels or more
    (``benchmarks/precision.py``); one without such instructions computes in float32.

    Args:
        precision: What the recipe says.
        device: Where to compute.
        image_shape: (c, h, w).
    """
    if precision == "float32":
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    native = device.type == "cpu" and _cpu_has_bfloat16()
    return native and image_shape[1] * image_shape[2] >= _LEAST_PIXELS


def _cpu_has_bfloat16() -> bool:
    """Ask torch; where it cannot tell, the answer is no."""
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def autocast(device: torch.device, bfloat16: bool) -> torch.autocast:
    """Return the context of a forward pass. No cast is cached: a captured graph must redo it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=False)


def evaluate(
    model: nn.Module,
    split: Split,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 256,
    bfloat16: bool = False,
) -> tuple[float, float]:
    """Score a network in ``eval()`` mode; its own mode is put back.

    Args:
        model: On ``device``, mapping float (b, c, h, w) to logits (b, classes).
        split: Images and labels, on any device.
        mean: Channel means (c,) of images in [0, 1].
        std: Channel deviations (c,), above 0.
        device: Where to compute.
        batch_size: Images at once, 1 or more.
        bfloat16: Whether to compute in bfloat16.

    Returns:
        Error rate in [0, 1] and mean cross entropy in nats, which may be NaN.
    """
    device = torch.device(device)
    side = (split.images.shape[2], split.images.shape[3])
    normalise = augment.normaliser(mean, std, side, device)
    wrong, loss = torch.zeros(2, device=device).unbind()
    mode = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for images, labels in zip(
                torch.split(split.images, batch_size),
                torch.split(split.labels, batch_size),
                strict=True,
            ):
                with autocast(device, bfloat16):
                    logits = model(normalise(images.to(device))).float()
                target = labels.to(device)
                wrong = wrong + (logits.argmax(1) != target).sum()
                loss = loss + F.cross_entropy(logits, target, reduction="sum")
    finally:
        model.train(mode)
    return wrong.item() / len(split.labels), loss.item() / len(split.labels)
