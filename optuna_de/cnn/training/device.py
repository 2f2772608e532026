"""Device of a training: its choice, memory, threads and precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from optuna_de._allocator import give_back_memory

if TYPE_CHECKING:
    from optuna_de.cnn.recipes import Precision

_MEMORY_INFO = Path("/proc/meminfo")
_CONTROL_GROUP, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_LEAST_PIXELS = 256  # of an image, for bfloat16 on a CPU


def device_memory(device: torch.device) -> tuple[int, int] | None:
    """Return the (free, total) bytes of a device, or None if the system does not tell.

    Memory that this process holds unused counts as free; on a CPU it is returned to the system.
    """
    if device.type == "cuda":
        unused, whole = torch.cuda.mem_get_info(device)
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return unused + reusable, whole
    if device.type == "cpu" and _MEMORY_INFO.exists():
        give_back_memory()
        lines = (line.split() for line in _MEMORY_INFO.read_text().splitlines())
        kib = {words[0]: int(words[1]) for words in lines}
        limits = [(kib["MemAvailable:"] * 1024, kib["MemTotal:"] * 1024), *control_group_memory()]
        return min(free for free, _ in limits), min(total for _, total in limits)
    return None


def control_group_memory(
    mounted: Path = _CONTROL_GROUP, process: Path = _OWN_GROUP
) -> list[tuple[int, int]]:
    """Return the (free, total) bytes of each control group (version 2) that limits this process.

    Containers and schedulers set such limits; cached files count as free.
    """
    own = [line[4:] for line in _lines(process) if line.startswith("0::/")]
    below = mounted / own[0] if own else mounted
    limits = []
    for group in (below, *below.parents):
        limit = _lines(group / "memory.max")
        if mounted in (group, *group.parents) and limit and limit[0] != "max":
            used = int(_lines(group / "memory.current")[0])
            stat = dict(line.split() for line in _lines(group / "memory.stat"))
            allowed = int(limit[0])
            limits.append((allowed - used + int(stat.get("inactive_file", 0)), allowed))
    return limits


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


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


def autocast(device: torch.device, bfloat16: bool) -> torch.autocast:
    """Return the context of a forward pass. No cast is cached: a captured graph must redo it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=False)
