import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

from optuna_de._machine import control_group_memory
from optuna_de.cnn.training.device import device_memory
from optuna_de.cnn.training.memory import (
    TrainingOutOfMemory,
    estimate_memory,
    fitting_micro_batch,
    is_out_of_memory,
    try_within_memory,
)
from tests.cnn.kit import equal, network, weights


def test_estimate_of_a_chain_is_what_autograd_keeps() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 1))
    parameters = (3 * 8 * 9 + 8 + 8 * 8 + 8) * 4
    image, activation = 5 * 3 * 16 * 16 * 4, 5 * 8 * 16 * 16 * 4
    expected = 3 * parameters + image + activation + 2 * activation
    assert estimate_memory(model, (3, 16, 16), 5) == expected


def test_estimate_of_an_unbuilt_model_is_the_same() -> None:
    with torch.device("meta"):
        meta = network()
    real = network()
    before = weights(real)
    assert estimate_memory(meta, (1, 8, 8), 64) == estimate_memory(real, (1, 8, 8), 64)
    assert equal(before, weights(real))


def test_a_huge_model_costs_no_memory_to_estimate() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10**7), nn.Linear(10**7, 10**5))
    assert estimate_memory(model, (3, 32, 32), 64) > 10**13


def test_half_precision_needs_less() -> None:
    model = network()
    full = estimate_memory(model, (1, 8, 8), 256)
    assert full / 2 < estimate_memory(model, (1, 8, 8), 256, bfloat16=True) < 0.6 * full


def test_an_estimate_leaves_nothing_behind() -> None:
    class Watched(nn.Identity):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(weakref.ref(images))
            return images

    seen: list[weakref.ref[torch.Tensor]] = []
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), Watched(), nn.Conv2d(4, 4, 3))
    estimate_memory(model, (1, 8, 8), 4)
    assert seen[0]() is None


def test_device_memory_of_this_machine() -> None:
    memory = device_memory(torch.device("cpu"))
    assert memory is None or 0 < memory[0] <= memory[1]


def test_a_container_is_asked_for_what_it_allows(tmp_path: Path) -> None:
    process, group = tmp_path / "process", tmp_path / "groups" / "job" / "step"
    group.mkdir(parents=True)
    process.write_text("4:memory:/old\n0::/job/step\n")
    for folder, limit in ((group, "max"), (group.parent, "1000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("700\n")
        (folder / "memory.stat").write_text("anon 500\ninactive_file 200\n")
    assert control_group_memory(tmp_path / "groups", process) == [(500, 1000)]
    assert control_group_memory(tmp_path / "none", tmp_path / "neither") == []


@pytest.mark.parametrize(
    ("memory", "expected"), [(None, 7), ((700, 900), 7), ((699, 900), 4), ((400, 900), 4)]
)
def test_micro_batch_is_halved_once(memory: tuple[int, int] | None, expected: int) -> None:
    assert fitting_micro_batch(lambda images: 100 * images, 7, memory) == expected


@pytest.mark.parametrize(("total", "foreign"), [(399, False), (400, True)])
def test_what_does_not_fit_by_half_is_refused(total: int, foreign: bool) -> None:
    with pytest.raises(TrainingOutOfMemory, match="micro-batch of 4") as caught:
        fitting_micro_batch(lambda images: 100 * images, 7, (399, total))
    assert caught.value.foreign == foreign


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("shape mismatch"), False),
        (torch.AcceleratorError("CUDA error: an illegal memory access"), False),
        (MemoryError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


def test_an_attempt_lets_go_of_what_it_held() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def exhaust() -> None:
        tensor = torch.zeros(3)
        held.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    cpu = torch.device("cpu")
    assert try_within_memory(exhaust, cpu) is None
    assert held[0]() is None
    assert try_within_memory(lambda: 0, cpu) == (0,)
    with pytest.raises(ZeroDivisionError):
        try_within_memory(lambda: 1 // 0, cpu)


def test_this_allocators_own_error_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
