"""One step of training: the same function runs plainly and captured as a CUDA graph.

Knows a model, a recipe and a set on the device; knows nothing of epochs, scores or files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optuna_de.cnn.data import augmentation
from optuna_de.cnn.training.device import autocast
from optuna_de.cnn.training.memory import TrainingOutOfMemory, attempt
from optuna_de.cnn.training.state import TrainState

_WARM_UP = 3


def step(run: TrainState, plan: Tensor, micro: int) -> None:
    """Train on one batch.

    Args:
        run: Changed in place.
        plan: int64 (b, 6) on the device, see :func:`optuna_de.cnn.data.augmentation.draw_plan`.
        micro: Images that go through the model at once. Fewer than b sum up the gradient of the
            batch's mean loss; only norms then see smaller batches.
    """
    run.optimizer.zero_grad(set_to_none=True)
    sums = torch.zeros_like(run.totals)
    for part in torch.split(plan, micro):
        images = run.normalise(augmentation.crop_and_flip(run.images, part))
        if run.recipe.cutout:
            images = augmentation.erase(images, part, run.recipe.cutout)
        labels = run.labels.index_select(0, part[:, 0])
        with autocast(run.device, run.bfloat16):
            logits = run.model(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=run.recipe.label_smoothing)
        (loss * (len(part) / len(plan))).backward()  # type: ignore[no-untyped-call]
        wrong = (logits.detach().argmax(1) != labels).sum()
        sums += torch.stack([loss.detach() * len(part), wrong.to(sums.dtype)])
    if run.recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(run.model.parameters(), run.recipe.clip_norm)
    run.optimizer.step()
    run.totals.add_(sums)


def static_step(run: TrainState, batch_size: int, micro: int) -> Callable[[Tensor], None]:
    """Return :func:`step` on a static buffer, captured as a CUDA graph where there is CUDA.

    A launch per kernel costs more than the kernels of a small network at batch 64; a graph is one
    launch. A last batch of another size runs plainly.
    """
    buffer = torch.zeros(
        (batch_size, len(augmentation.PLAN_COLUMNS)), dtype=torch.int64, device=run.device
    )

    def body() -> None:
        step(run, buffer, micro)

    replay = _capture(run, body) if run.device.type == "cuda" else body

    def call(plan: Tensor) -> None:
        if len(plan) != batch_size:
            return step(run, plan, micro)
        buffer.copy_(plan)
        return replay()

    return call


def _capture(run: TrainState, body: Callable[[], None]) -> Callable[[], None]:
    """Capture as torch's manual on CUDA graphs says, and leave the run as it was."""
    graph = torch.cuda.CUDAGraph()
    with _unchanged(run):
        stream = torch.cuda.Stream(run.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(run.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                body()
        torch.cuda.current_stream(run.device).wait_stream(stream)
        with torch.cuda.graph(graph):
            body()
    return graph.replay


@contextmanager
def _unchanged(run: TrainState) -> Iterator[None]:
    saved = [tensor.detach().clone() for tensor in (*run.state(), run.totals)]
    draws = torch.cuda.get_rng_state(run.device)
    try:
        yield
    finally:
        run.totals.copy_(saved.pop())
        run.restore(saved)
        torch.cuda.set_rng_state(draws, run.device)


class Stepper:
    """Steps that halve the micro-batch once when memory runs out.

    Args:
        run: Changed in place.
        batch_size: Images of a full batch.
        micro: Images that go through the model at once, at most ``batch_size``.
    """

    def __init__(self, run: TrainState, batch_size: int, micro: int) -> None:
        self._run = run
        self._batch_size = batch_size
        self.micro = micro
        self._step: Callable[[Tensor], None] | None = None

    def __call__(self, plan: Tensor) -> None:
        """Train on a batch (b, 6).

        Raises:
            TrainingOutOfMemory: Where half the micro-batch does not fit either.
        """
        if attempt(lambda: self._take(plan), self._run.device):
            return
        self._step = None
        self._run.optimizer.zero_grad(set_to_none=True)
        if self.micro < self._batch_size or self._batch_size == 1:
            raise TrainingOutOfMemory(
                f"Training ran out of memory at a micro-batch of {self.micro} images."
            )
        self.micro = (self._batch_size + 1) // 2
        self(plan)

    def _take(self, plan: Tensor) -> None:
        if self._step is None:
            self._step = static_step(self._run, self._batch_size, self.micro)
        self._step(plan)
