"""Machine and versions: processor, memory and packages as text. No torch."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

_MEMORY_INFO = Path("/proc/meminfo")
_CONTROL_GROUP, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
PACKAGES = ("optuna-de", "optuna", "torch", "torchvision", "numpy")


def machine(accelerator: str = "") -> str:
    """Return the cores, processor, memory and system in words.

    Args:
        accelerator: Name of the accelerator that trains, put first where there is one.
    """
    host = f"{os.cpu_count()} cores of {_processor()}, {platform.machine()}, {platform.system()}"
    return ", ".join(filter(None, (accelerator, host, _memory())))


def versions() -> str:
    """Return the versions of Python and of the packages a result depends on."""
    installed = {name: _version(name) for name in PACKAGES}
    named = (f"{name} {version}" for name, version in installed.items() if version)
    return ", ".join((f"Python {platform.python_version()}", *named))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or "an unknown processor"


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows does not tell
        return ""
    return f"{size / 2**30:.0f} GiB"


def machine_memory() -> tuple[int, int] | None:
    """Return the (free, total) bytes of this machine, or None if the system does not tell."""
    if not _MEMORY_INFO.exists():
        return None
    lines = (line.split() for line in _MEMORY_INFO.read_text(encoding="utf-8").splitlines())
    kib = {words[0]: int(words[1]) for words in lines}
    limits = [(kib["MemAvailable:"] * 1024, kib["MemTotal:"] * 1024), *control_group_memory()]
    return min(free for free, _ in limits), min(total for _, total in limits)


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
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
