"""Mapped images, which stay in the files of stores and are read by index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optuna_de.cnn.data.store.image_store import ImageStore


class MappedImages:
    """Mapped images of stores, in an order; they look like a uint8 tensor (n, c, h, w).

    Args:
        stores: Image stores of the same shape.
        source: Which store each image lies in, int64 (n,).
        row: Which row of it, int64 (n,).
    """

    dtype, ndim = torch.uint8, 4
    device = torch.device("cpu")

    def __init__(
        self, stores: Sequence[ImageStore], source: NDArray[np.int64], row: NDArray[np.int64]
    ) -> None:
        self._stores, self._source, self._row = tuple(stores), source, row

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, c, h, w)."""
        _, h, w, c = self._stores[0].images.shape
        return len(self._row), c, h, w

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, chosen: slice | NDArray[np.int64] | Tensor) -> MappedImages:
        """Return some of the images, which stay in their files."""
        if isinstance(chosen, Tensor):
            chosen = chosen.numpy()
        return MappedImages(self._stores, self._source[chosen], self._row[chosen])

    def gather(self, chosen: NDArray[np.int64] | Tensor) -> Tensor:
        """Read images by index: uint8 (b, c, h, w), channels_last."""
        chosen = np.asarray(chosen)
        source, row = self._source[chosen], self._row[chosen]
        if len(self._stores) == 1:
            pixels = self._stores[0].take(row)
        else:
            pixels = np.empty((len(row), *self._stores[0].images.shape[1:]), np.uint8)
            for i, store in enumerate(self._stores):
                pixels[source == i] = store.take(row[source == i])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)

    def split(self, size: int) -> Iterator[Tensor]:
        """Yield all images in blocks, as :func:`torch.split` returns them."""
        for start in range(0, len(self), size):
            yield self.gather(np.arange(start, min(start + size, len(self))))

    def cpu(self) -> Tensor:
        """Return all images in memory, as a tensor on a device does."""
        return self.load()

    def load(self) -> Tensor:
        """Return all images in memory, channels_last."""
        n, c, h, w = self.shape
        pixels = torch.empty((n, h, w, c), dtype=torch.uint8)
        start = 0
        for block in self.split(1024):
            pixels[start : start + len(block)] = block.permute(0, 2, 3, 1)
            start += len(block)
        return pixels.permute(0, 3, 1, 2)

    def joined(self, other: MappedImages) -> MappedImages:
        """Return these mapped images and others behind them."""
        return MappedImages(
            (*self._stores, *other._stores),
            np.concatenate([self._source, other._source + len(self._stores)]),
            np.concatenate([self._row, other._row]),
        )


Images: TypeAlias = Any
"""A uint8 tensor (n, c, h, w) in memory, or :class:`MappedImages`, which look like one."""


def blocks(images: Images, size: int = 1024) -> Iterator[Tensor]:
    """Yield blocks of mapped images, or of those in memory."""
    yield from images.split(size)


def take(images: Images, chosen: NDArray[np.int64] | Tensor) -> Tensor:
    """Return images by index in memory, mapped or not."""
    if isinstance(images, MappedImages):
        return images.gather(chosen)
    taken: Tensor = images[torch.as_tensor(chosen)]
    return taken


def joined(first: Images, second: Images) -> Images:
    """Return mapped images joined with others behind them."""
    if isinstance(first, MappedImages) and isinstance(second, MappedImages):
        return first.joined(second)
    both = [part.load() if isinstance(part, MappedImages) else part for part in (first, second)]
    return torch.cat(both).contiguous(memory_format=torch.channels_last)
