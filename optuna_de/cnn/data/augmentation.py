"""Augmentation as batched tensor functions over a set that lies on the device.

Knows tensors only: neither models nor recipes. Random numbers are drawn for a whole epoch at once
as a plan, one row an image; carrying a plan out is deterministic and free of host syncs, so it
can run inside a captured CUDA graph. For the same offsets every function equals torchvision's
(pad, crop, hflip, erase) to the pixel; the tests compare them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

AUGMENTATION_COLUMNS = (
    *("row", "top", "left", "flip", "cut_y", "cut_x"),
    *("blend", "patch_top", "patch_bottom", "patch_left", "patch_right"),
)
_WHOLE = 2**16  # a blend of 1


@dataclass(frozen=True, slots=True)
class PaddedImages:
    """A set of images with a border, made once.

    Args:
        pixels: The padded set as one pixel a row, uint8 (n * (h + 2p) * (w + 2p), channels).
        side: Height and width (h, w) of a crop.
        padding: Border p in pixels, 0 or more.
    """

    pixels: Tensor
    side: tuple[int, int]
    padding: int


def pad(images: Tensor, padding: int, *, reflect: bool = False) -> PaddedImages:
    """Put a border around uint8 images (n, c, h, w) and lay them out by pixel.

    It is 0, or mirrors the image about its outermost pixels, which are not repeated.
    """
    bordered = F.pad(images, [padding] * 4) if padding else images
    # On cards torch's mode="reflect" ends at 65,535 images (pytorch#165861), fewer than a set has.
    for k in range(1, padding + 1) if reflect else ():
        for axis in (2, 3):
            side = images.shape[axis]
            lines = bordered.movedim(axis, 0)
            lines[padding - k] = lines[padding + k]
            lines[padding + side - 1 + k] = lines[padding + side - 1 - k]
    pixels = bordered.permute(0, 2, 3, 1).reshape(-1, images.shape[1])
    return PaddedImages(pixels, (images.shape[2], images.shape[3]), padding)


def draw_augmentations(
    n: int,
    side: tuple[int, int],
    generator: torch.Generator,
    *,
    padding: int = 0,
    flip: bool = False,
    mixup: float = 0.0,
    cutmix: float = 0.0,
) -> Tensor:
    """Draw one epoch: an order of ``n`` images and what happens to each.

    Args:
        n: Number of images, 1 or more.
        side: Height and width of an image.
        generator: Source of all numbers, on the CPU.
        padding: Crops start at offsets in [0, 2 * padding], as torchvision's RandomCrop draws.
        flip: Whether to mirror with probability 1/2.
        mixup: Parameter a of the distribution Beta(a, a) of a blend's share; 0 blends nothing.
        cutmix: The same of a pasted patch's share of the image. If both are above 0, each image
            is blended or pasted into with probability 1/2.

    Returns:
        int64 (n, 11) with the columns of :data:`AUGMENTATION_COLUMNS`; ``cut_y`` and ``cut_x`` are
        the centre of the erased square, uniform over the image; ``blend`` is the share of the
        other image in 1/65536, and the patch is what another image covers, its last row and
        column left out. Without mixing these five are 0 and nothing is drawn for them.
    """
    ends = (2 * padding + 1, 2 * padding + 1, 2 if flip else 1, *side)
    draws = [torch.randint(end, (n,), generator=generator) for end in ends]
    order = torch.randperm(n, generator=generator)
    mixing = _draw_mixing(n, side, generator, mixup, cutmix)
    return torch.cat([torch.stack([order, *draws], dim=1), mixing], dim=1)


def _draw_mixing(
    n: int, side: tuple[int, int], generator: torch.Generator, mixup: float, cutmix: float
) -> Tensor:
    """Draw blend and patch of each image, int64 (n, 5)."""
    mixing = torch.zeros((n, 5), dtype=torch.int64)
    if not mixup and not cutmix:
        return mixing
    # Torch draws no Beta from a generator of one's own.
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    pasted = rng.random(n) < (0.5 if mixup and cutmix else bool(cutmix))
    if mixup:
        blends = torch.from_numpy(rng.beta(mixup, mixup, n) * _WHOLE).round().long()
        mixing[:, 0] = blends * ~torch.from_numpy(pasted)
    if cutmix:
        mixing[:, 1:] = _patches(rng, n, side, cutmix) * torch.from_numpy(pasted)[:, None]
    return mixing


def _patches(rng: np.random.Generator, n: int, side: tuple[int, int], cutmix: float) -> Tensor:
    """Draw rectangles as Yun et al. (2019), equation 2, do, int64 (n, 4), clipped at the edges."""
    share = np.sqrt(rng.beta(cutmix, cutmix, n))
    ends = []
    for length in side:
        centre, half = rng.integers(length, size=n), (length * share / 2).astype(np.int64)
        ends += [np.maximum(centre - half, 0), np.minimum(centre + half, length)]
    return torch.from_numpy(np.stack(ends, axis=1))


def crop_and_flip(images: PaddedImages, plan: Tensor) -> Tensor:
    """Return the planned crops, mirrored where planned.

    Args:
        images: The padded set.
        plan: int64 (b, 11) on the device of the images.

    Returns:
        uint8 (b, c, h, w) in channels_last order.
    """
    (h, w), border = images.side, 2 * images.padding
    row, top, left, mirrored = plan[:, :4].unbind(1)
    y = row[:, None] * (h + border) + top[:, None] + torch.arange(h, device=plan.device)
    x = torch.arange(w, device=plan.device)
    x = left[:, None] + torch.where(mirrored[:, None] == 1, w - 1 - x, x)
    at = y[:, :, None] * (w + border) + x[:, None, :]  # (b, h, w) into pixels
    picked = images.pixels.index_select(0, at.flatten())
    return picked.view(len(plan), h, w, -1).permute(0, 3, 1, 2)


def cutout(images: Tensor, plan: Tensor, cutout: int) -> Tensor:
    """Return normalised images (b, c, h, w) with a square of side ``cutout`` set to 0, the mean.

    The square is clipped at the edges, so less of some images is erased (DeVries and Taylor
    2017, section 3.1).
    """
    inside = [
        (offset >= 0) & (offset < cutout)
        for offset in (
            torch.arange(side, device=plan.device) - plan[:, column, None] + cutout // 2
            for column, side in ((4, images.shape[2]), (5, images.shape[3]))
        )
    ]
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(hole, 0.0)


def mix(images: Tensor, others: Tensor, plan: Tensor) -> tuple[Tensor, Tensor]:
    """Return images mixed with others as planned, and the others' share of each.

    A blend (mixup: Zhang et al. 2018) is a weighted mean; a patch (CutMix: Yun et al. 2019) is
    pasted at its own place.

    Args:
        images: Normalised, float (b, c, h, w).
        others: The same shape.
        plan: int64 (b, 11) on their device.

    Returns:
        Images of the same shape, and shares in [0, 1], float32 (b,).
    """
    blend, top, bottom, left, right = (column[:, None] for column in plan[:, 6:].unbind(1))
    rows, columns = (torch.arange(side, device=plan.device) for side in images.shape[2:])
    inside_y, inside_x = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    weight = (blend / _WHOLE)[:, :, None, None]
    patch = inside_y[:, None, :, None] & inside_x[:, None, None, :]
    mixed = torch.where(patch, others, images.lerp(others, weight))
    area = (bottom - top) * (right - left) / (len(rows) * len(columns))
    return mixed, (blend / _WHOLE + area).squeeze(1)


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Turns uint8 images into floats of mean 0 and deviation 1 by channel.

    Args:
        scale: Factor, float32 (1, c, h, w) in channels_last order.
        shift: Summand of the same shape.
    """

    scale: Tensor
    shift: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Return ``(images / 255 - mean) / std`` as float32 (b, c, h, w), channels_last."""
        return images.to(torch.float32).mul_(self.scale).add_(self.shift)


def normaliser(
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    side: tuple[int, int],
    device: torch.device,
) -> Normaliser:
    """Return the normaliser of means and deviations (c,) of images in [0, 1].

    The constants have the shape of a whole image: broadcasting over the innermost channels alone
    would not be vectorised (190 against 41 microseconds for a batch of 64 CIFAR images).
    """

    def image(values: Tensor) -> Tensor:
        full = values.view(1, -1, 1, 1).expand(1, -1, *side)
        return full.contiguous(memory_format=torch.channels_last).to(device, torch.float32)

    means, deviations = (torch.as_tensor(v, dtype=torch.float64) for v in (mean, std))
    return Normaliser(image(1 / (255 * deviations)), image(-means / deviations))
