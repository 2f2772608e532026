"""The allocator keeps freed memory where it can be told to, and says where it cannot."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from optuna_de import _allocator

GLIBC = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
CHURN = """
import resource, sys
from optuna_de import _allocator
if sys.argv[1] == "keep":
    _allocator.keep_memory()
def touch():
    block = bytearray(48 * 2**20)  # over glibc's largest threshold of mmap
    block[::4096] = bytes(len(range(0, len(block), 4096)))
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
RETURN = """
from pathlib import Path
from optuna_de import _allocator
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
_allocator.keep_memory()
block = b"x" * (96 * 2**20)
del block
kept = resident()
_allocator.give_back_memory()
print(kept - resident())
"""


def run(code: str, *arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_caches_are_bounded_where_nobody_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    _allocator.bound_caches()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ.pop("ONEDNN_PRIMITIVE_CACHE_CAPACITY") == "256"


@pytest.mark.skipif(not GLIBC, reason="the settings are glibc's")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    fresh, kept = run(CHURN, "default"), run(CHURN, "keep")
    assert kept < fresh / 10


@pytest.mark.skipif(not GLIBC, reason="the settings are glibc's")
def test_kept_memory_is_given_back_on_demand() -> None:
    assert run(RETURN) * 4096 > 64 * 2**20


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("loaded"))
    assert not _allocator.keep_memory()
    _allocator.give_back_memory()
