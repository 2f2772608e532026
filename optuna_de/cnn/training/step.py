"""One step of training: the same function runs as it is and captured as a CUDA graph.

Depends on the training state only, on no epochs, scores or files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from optuna_de.cnn.data import augmentation
from optuna_de.cnn.training.device import autocast
from optuna_de.cnn.training.loss import Targets, cross_entropy, distilled, wrong_answers
from optuna_de.cnn.training.memory import TrainingOutOfMemory, try_within_memory
from optuna_de.cnn.training.state import TrainState

_WARM_UP = 3


def train_step(state: TrainState, draws: Tensor, micro: int) -> None:
    """Train on one batch.

    Args:
        state: Changed in place.
        draws: int64 (b, 11) on the device, see
            :func:`optuna_de.cnn.data.augmentation.draw_augmentations`.
        micro: Images that go through the model at once. Fewer than b sum up the gradient of the
            batch's mean loss; only norms then see smaller batches.
    """
    state.optimizer.zero_grad()
    sums = torch.zeros_like(state.totals)
    partners = draws.roll(1, 0)  # the image before, of the whole batch
    for part, others in zip(torch.split(draws, micro), torch.split(partners, micro), strict=True):
        images, targets = _batch(state, part, others)
        with autocast(state.device, state.bfloat16):
            logits = state.model(images)
        smoothing = state.recipe.label_smoothing
        loss = cross_entropy(logits.float(), targets, smoothing, state.class_weights)
        if state.teacher is not None:
            with torch.no_grad(), autocast(state.device, state.bfloat16):
                answers = state.teacher(images)
            loss = distilled(loss, logits.float(), answers.float(), state.recipe)
        (loss * (len(part) / len(draws))).backward()  # type: ignore[no-untyped-call]
        wrong = wrong_answers(logits.detach(), targets)
        sums += torch.stack([loss.detach() * len(part), wrong.to(sums.dtype)])
    if state.recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(state.model.parameters(), state.recipe.clip_norm)
    state.optimizer.step()
    state.totals.add_(sums)


def _batch(state: TrainState, draws: Tensor, others: Tensor) -> tuple[Tensor, Targets]:
    """Return augmented images (b, c, h, w) and their targets.

    Args:
        state: The training state.
        draws: int64 (b, 11).
        others: Rows of the images that those are mixed with, if the recipe mixes.
    """
    labels = state.labels.index_select(0, draws[:, 0])
    images = _augmented(state, draws)
    if not state.recipe.mixes:
        return images, Targets(labels)
    images, share = augmentation.mix(images, _augmented(state, others), draws)
    return images, Targets(labels, state.labels.index_select(0, others[:, 0]), share)


def _augmented(state: TrainState, draws: Tensor) -> Tensor:
    images = state.normalise(augmentation.crop_and_flip(state.images, draws))
    if state.recipe.cutout:
        images = augmentation.cutout(images, draws, state.recipe.cutout)
    return images


def captured_step(state: TrainState, batch_size: int, micro: int) -> Callable[[Tensor], None]:
    """Return :func:`train_step` on a static buffer, captured as a CUDA graph on CUDA.

    A launch per kernel costs more than the kernels of a small network at batch 64; a graph is one
    launch. A last batch of another size runs without a graph.
    """
    buffer = torch.zeros(
        (batch_size, len(augmentation.AUGMENTATION_COLUMNS)),
        dtype=torch.int64,
        device=state.device,
    )

    def body() -> None:
        train_step(state, buffer, micro)

    replay = _capture(state, body) if state.device.type == "cuda" else body

    def call(draws: Tensor) -> None:
        if len(draws) != batch_size:
            return train_step(state, draws, micro)
        buffer.copy_(draws)
        return replay()

    return call


def _capture(state: TrainState, body: Callable[[], None]) -> Callable[[], None]:
    """Capture as torch's manual on CUDA graphs says, and restore the state."""
    graph = torch.cuda.CUDAGraph()
    with _unchanged(state):
        stream = torch.cuda.Stream(state.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(state.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                body()
        torch.cuda.current_stream(state.device).wait_stream(stream)
        with torch.cuda.graph(graph):
            body()
    return graph.replay


@contextmanager
def _unchanged(state: TrainState) -> Iterator[None]:
    saved = [tensor.detach().clone() for tensor in (*state.tensors(), state.totals)]
    generator = torch.cuda.get_rng_state(state.device)
    try:
        yield
    finally:
        state.totals.copy_(saved.pop())
        state.restore(saved)
        torch.cuda.set_rng_state(generator, state.device)


class Stepper:
    """Steps that halve the micro-batch once when memory runs out.

    Args:
        state: Changed in place.
        batch_size: Images of a full batch.
        micro: Images that go through the model at once, at most ``batch_size``.
    """

    def __init__(self, state: TrainState, batch_size: int, micro: int) -> None:
        self._state = state
        self._batch_size = batch_size
        self.micro = micro
        self._step: Callable[[Tensor], None] | None = None

    def __call__(self, draws: Tensor) -> None:
        """Train on a batch (b, 11).

        Raises:
            TrainingOutOfMemory: If half the micro-batch does not fit either.
        """
        if try_within_memory(lambda: self._take(draws), self._state.device):
            return
        self._step = None
        self._state.optimizer.zero_grad()
        if self.micro < self._batch_size or self._batch_size == 1:
            raise TrainingOutOfMemory(
                f"Training ran out of memory at a micro-batch of {self.micro} images."
            )
        self.micro = (self._batch_size + 1) // 2
        self(draws)

    def _take(self, draws: Tensor) -> None:
        if self._step is None:
            self._step = captured_step(self._state, self._batch_size, self.micro)
        self._step(draws)
