"""Feed: gives a step its training images, all kept on the device or gathered batch by batch.

Both ways give the same batches bit for bit. Where a set is not kept whole, a thread reads the
next batches from memory or from mapped files while a step computes, into pinned memory for a card.
A large set in the memory of a processor gets its border batch by batch, too: it is held once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from optuna_de.cnn.data import augmentation
from optuna_de.cnn.data.dataset import fits_card
from optuna_de.cnn.data.store.mapped_images import Images, MappedImages, take

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import Split
    from optuna_de.cnn.recipes import Recipe

_AHEAD = 3  # batches that are read while a step computes
_COPIED = 2**29  # bytes of a set that a processor's memory may hold twice, once with its border


@dataclass(frozen=True, slots=True)
class Feed:
    """Images that a step may use, which stay in place.

    Args:
        images: All images of a split on the device, or room for those of one batch.
        labels: Their labels, int64 (n,).
        source: Where batches are gathered from: images and labels; None where all are here.
        reflect: Whether the border of images mirrors them.
    """

    images: augmentation.PaddedImages
    labels: Tensor
    source: tuple[Images, Tensor] | None = None
    reflect: bool = False

    def batches(self, plan: Tensor, size: int) -> Iterator[Tensor]:
        """Yield the parts of an epoch's plan, int64 (b, 11) on the device.

        The images that a part names are in :attr:`images` until the next part is asked for.

        Args:
            plan: int64 (n, 11), see :func:`draw_augmentations`.
            size: Images of a batch.
        """
        device, parts = self.labels.device, torch.split(plan, size)
        if self.source is None:
            yield from (part.to(device) for part in parts)
            return
        waiting: deque[Future[tuple[Tensor, Tensor]]] = deque()
        with ThreadPoolExecutor(1, "batches") as thread:
            for number, part in enumerate(parts):
                ahead = parts[number + len(waiting) : number + _AHEAD]
                waiting.extend(thread.submit(self._gather, rows[:, 0]) for rows in ahead)
                self._place(*waiting.popleft().result())
                local = part.clone()
                local[:, 0] = torch.arange(len(part))
                yield local.to(device)

    def _gather(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Read the images of a batch as padded pixels, and their labels, into pinned memory."""
        assert self.source is not None
        images, padding = take(self.source[0], rows), self.images.padding
        pixels = augmentation.pad(images, padding, reflect=self.reflect).pixels
        labels = self.source[1][rows]
        pinned = self.labels.device.type == "cuda"
        return (pixels.pin_memory(), labels.pin_memory()) if pinned else (pixels, labels)

    def _place(self, pixels: Tensor, labels: Tensor) -> None:
        self.images.pixels[: len(pixels)].copy_(pixels, non_blocking=True)
        self.labels[: len(labels)].copy_(labels, non_blocking=True)


def make_feed(split: Split, recipe: Recipe, batch_size: int, device: torch.device) -> Feed:
    """Return the feed of a split: whole on the device where it is there already or fits.

    On a processor, a large set is fed by batches instead, as the border makes a copy of it.

    Args:
        split: Images and labels.
        recipe: The training recipe; it tells the border of the images.
        batch_size: Images of a batch at the most.
        device: Where a step computes.
    """
    padding, reflect = recipe.crop_padding, recipe.reflect
    _, c, h, w = split.images.shape
    rows = (h + 2 * padding) * (w + 2 * padding)
    whole = len(split.labels) * rows * c
    images = split.images
    if not isinstance(images, MappedImages) and _kept_whole(images, whole, padding, device):
        whole_set = augmentation.pad(images.to(device), padding, reflect=reflect)
        return Feed(whole_set, split.labels.to(device))
    room = torch.zeros((batch_size * rows, c), dtype=torch.uint8, device=device)
    labels = torch.zeros(batch_size, dtype=torch.int64, device=device)
    window = augmentation.PaddedImages(room, (h, w), padding)
    return Feed(window, labels, (images, split.labels.cpu()), reflect)


def _kept_whole(images: Tensor, size: int, padding: int, device: torch.device) -> bool:
    """Tell whether a set is laid out with its border, of that many bytes, before an epoch."""
    if device.type == "cpu":
        return padding == 0 or size <= _COPIED
    return images.device.type == device.type or fits_card(size, device)
