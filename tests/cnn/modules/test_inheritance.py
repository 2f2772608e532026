"""Inheritance of weights: growing and new identities change no output."""

import pytest
import torch
from torch import Tensor, nn

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.inheritance import Parent, inherit

SHAPE, CLASSES = (3, 16, 16), 5


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


def images() -> Tensor:
    return torch.randn(32, *SHAPE, generator=torch.Generator().manual_seed(0))


def trained(text: str) -> nn.Module:
    """Build a network whose tensors are all unlike those that a new one has."""
    generator = torch.Generator().manual_seed(1)
    model = fresh(text, 2)
    for value in model.state_dict().values():
        if value.ndim == 1:
            value.add_(torch.rand(value.shape, generator=generator) / 2)
    return model.eval()


def fresh(text: str, seed: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(parse(text), SHAPE, CLASSES)


def outputs(parent: str, child: str) -> tuple[Tensor, Tensor]:
    old, own = trained(parent), fresh(child)
    inherit(own, parse(child), Parent(parse(parent), old.state_dict()), SHAPE, CLASSES, images())
    with torch.no_grad():
        return old(images()), own.eval()(images())


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ("B8k3-MP-B16k3-GAP", "B8k3-MP-B16k3-GAP"),
        ("B8k3-MP-B16k3-GAP", "B12k5-MP-B24k3-GAP"),
        ("C8k3-MP-C16k3", "C12k3-MP-C20k5"),
        ("P8k3-MP-B16k3-GAP", "P13k5-MP-B16k3-GAP"),
        ("B8k3-R8k3-R12k3-GAP", "B9k3-R9k3-R14k3-GAP"),
        ("B8k3-R8k3-MP-B16k3-GAP", "B9k3-R8k3-MP-B16k3-GAP"),  # the skip gets a projection
        ("B8k3-D16k3-GAP", "B12k3-D24k5-GAP"),
        ("B8k3-I8k3s4-MP-I16k3-GAP", "B12k3-I12k3s4-MP-I16k3-GAP"),
        ("B8k3-M8-MP-M16-GAP", "B8k3-M8-MP-M20-GAP"),
        ("B8k3-G16k3-GMP", "B8k3-G16k3-GMP"),
    ],
)
def test_a_network_that_grew_answers_as_its_parent(parent: str, child: str) -> None:
    old, own = outputs(parent, child)
    torch.testing.assert_close(own, old, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "unit", ["B8k3", "R8k5", "D8k3", "P8k3", "A8k3", "G8k3", "C8k3", "I8k3", "R12k3", "B12k3"]
)
def test_a_new_unit_begins_as_the_identity(unit: str) -> None:
    old, own = outputs("B8k3-MP-B16k3-GAP", f"B8k3-{unit}-MP-B16k3-GAP")
    torch.testing.assert_close(own, old, atol=1e-4, rtol=1e-4)


def test_a_new_norm_undoes_itself_in_training_too() -> None:
    parent, child = "B8k3-MP-B16k3-GAP", "B8k3-B8k3-MP-B16k3-GAP"
    old, own = trained(parent), fresh(child)
    inherit(own, parse(child), Parent(parse(parent), old.state_dict()), SHAPE, CLASSES, images())
    for model in (old, own):
        model.train().get_submodule("1").eval()  # so the new norm reads what calibrated it
    torch.testing.assert_close(own(images()), old(images()), atol=1e-3, rtol=1e-3)


def test_what_shrinks_keeps_its_first_channels_and_the_middle_of_its_kernels() -> None:
    old, own = trained("B8k5-MP-B16k3-GAP"), fresh("B6k3-MP-B16k3-GAP")
    parent = Parent(parse("B8k5-MP-B16k3-GAP"), old.state_dict())
    said = inherit(own, parse("B6k3-MP-B16k3-GAP"), parent, SHAPE, CLASSES, images())
    assert said.text == "3 of 3 units"
    a, b = old.state_dict(), own.state_dict()
    assert torch.equal(b["0.weight"], a["0.weight"][:6, :, 1:4, 1:4])
    assert torch.equal(b["1.running_var"], a["1.running_var"][:6])
    assert torch.equal(b["4.weight"], a["4.weight"][:, :6])


def test_other_kinds_and_first_units_stay_as_they_were_drawn() -> None:
    own, drawn = fresh("S8k3-MP-R16k3-GAP"), fresh("S8k3-MP-R16k3-GAP")
    old = trained("B8k3-MP-B16k3-GAP")
    parent = Parent(parse("B8k3-MP-B16k3-GAP"), old.state_dict())
    said = inherit(own, parse("S8k3-MP-R16k3-GAP"), parent, SHAPE, CLASSES, images())
    assert said.text == "1 of 3 units"  # the pool
    assert torch.equal(own.state_dict()["0.weight"], drawn.state_dict()["0.weight"])
