"""Machine and versions: processor, memory and packages as text. No torch."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

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
    found = {name: _version(name) for name in PACKAGES}
    named = (f"{name} {version}" for name, version in found.items() if version)
    return ", ".join((f"Python {platform.python_version()}", *named))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or "an unknown processor"


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows does not tell
        return ""
    return f"{size / 2**30:.0f} GiB"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
