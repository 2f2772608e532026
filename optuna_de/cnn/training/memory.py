"""Memory of a training: estimate, micro-batch that fits, and out-of-memory errors.

The need is estimated by one pass on torch's "meta" device, which holds shapes and no numbers. It
costs milliseconds and no memory; the model itself may stand on "meta", too.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from optuna_de.cnn.architecture.genomes import Genome
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.training.device import device_memory, uses_bfloat16

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import ImageData

T = TypeVar("T")


class TrainingOutOfMemory(RuntimeError):  # noqa: N818 (a name of the design)
    """A network does not fit into memory even with half the micro-batch.

    Args:
        message: One sentence.
        foreign: Whether another process holds the memory, so a later retry may succeed.
    """

    def __init__(self, message: str, *, foreign: bool = False) -> None:
        super().__init__(message)
        self.foreign = foreign


def estimate_memory(
    model: nn.Module,
    image_shape: tuple[int, int, int],
    batch_size: int,
    *,
    copies: int = 3,
    bfloat16: bool = False,
) -> int:
    """Return the bytes that training needs, data and libraries aside.

    Args:
        model: On any device, "meta" included; left as it was.
        image_shape: (c, h, w).
        batch_size: Images that go through the model at once.
        copies: Tensors of a parameter's size: itself, its gradient, its momentum, its mean.
        bfloat16: Whether activations are of two bytes instead of four.

    Returns:
        Parameters times ``copies``, what the backward pass keeps, and twice the largest of that
        for the gradients in flight.
    """
    meta = {
        name: torch.empty_like(tensor, device="meta", requires_grad=tensor.requires_grad)
        for name, tensor in (*model.named_parameters(), *model.named_buffers())
    }
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    own = {tensor.untyped_storage()._cdata for tensor in meta.values()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> None:
        """Keep the storage alone: the graph holds this hook, so a tensor of it would be a cycle
        that Python's collector does not see."""
        memory = tensor.untyped_storage()
        kept[memory._cdata] = memory

    images = torch.empty((batch_size, *image_shape), device="meta")
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        functional_call(model, meta, (images,))
    sizes = [memory.nbytes() for at, memory in kept.items() if at not in own]
    activations = sum(sizes) + 2 * max(sizes, default=0)
    if bfloat16:
        return weights * copies + weights // 2 + activations // 2
    return weights * copies + activations


def fitting_micro_batch(
    need: Callable[[int], int], batch_size: int, memory: tuple[int, int] | None
) -> int:
    """Return the batch size, or half of it if only that fits.

    Args:
        need: From the micro-batch size to bytes.
        batch_size: Images of one step.
        memory: (free, total) bytes, or None to try the whole batch.

    Raises:
        TrainingOutOfMemory: If half does not fit either.
    """
    half = (batch_size + 1) // 2
    if memory is None or need(batch_size) <= memory[0]:
        return batch_size
    needed, (free, total) = need(half), memory
    if needed <= free:
        return half
    raise TrainingOutOfMemory(
        f"Training needs about {needed / 2**20:.0f} MiB at a micro-batch of {half},"
        f" but {free / 2**20:.0f} MiB of {total / 2**20:.0f} MiB are free.",
        foreign=needed <= total,
    )


def try_within_memory(action: Callable[[], T], device: torch.device) -> tuple[T] | None:
    """Return what an action returns, or None if memory ran out.

    Returning, not raising, releases the frames that hold the failed action's tensors, so that
    another attempt finds their memory free.
    """
    try:
        return (action(),)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Tell an exhausted device from other errors; the CPU's allocator has no class of its own."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error)
    return type(error) is RuntimeError and (
        "not enough memory" in text or "can't allocate memory" in text or "out of memory" in text
    )


def build_fitting(
    genome: Genome, space: CNNSpace, batch_size: int, device: torch.device, seed: int
) -> nn.Module:
    """Build a network in the main memory, after a pass on torch's meta device shows that it fits.

    Args:
        genome: The network.
        space: What it is for: image shape and classes.
        batch_size: Images per step, of which at least half have to fit.
        device: Device to train on.
        seed: Of its weights; torch's global generator is put back.

    Raises:
        TrainingOutOfMemory: If network or batch do not fit.
    """
    shape, classes = space.image_shape, space.classes
    with torch.device("meta"):
        ghost = build(genome, shape, classes)
    fitting_micro_batch(
        lambda images: estimate_memory(ghost, shape, images), batch_size, device_memory(device)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = try_within_memory(lambda: build(genome, shape, classes), device)
    if built is None:
        raise TrainingOutOfMemory("The network's weights do not fit into memory.")
    return built[0]


def micro_batch(
    model: nn.Module, data: ImageData, recipe: Recipe, batch: int, device: torch.device
) -> int:
    """Return how many images of a batch can go through the model at once: all or half.

    Raises:
        TrainingOutOfMemory: If half does not fit either.
    """
    copies = 2 + recipe.moments + (recipe.ema is not None)
    half = uses_bfloat16(recipe.precision, device, data.image_shape)

    def need(images: int) -> int:
        return estimate_memory(model, data.image_shape, images, copies=copies, bfloat16=half)

    return fitting_micro_batch(need, batch, device_memory(device))
