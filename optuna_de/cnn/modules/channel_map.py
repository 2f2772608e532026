"""Channel map: which channel of a parent's tensor does each channel of its child's continue?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ChannelMap = Tensor
"""int64 (channels,): the parent's channel, or -1 for a new one."""


def leading(channels: int, old: int) -> ChannelMap:
    """Return the map of a layer whose first channels stay: it grows or shrinks at the end."""
    places = torch.arange(channels)
    return torch.where(places < old, places, -1)


def clipped(channels: ChannelMap, old: int) -> ChannelMap:
    """Return a map without the channels that the parent lacks."""
    return torch.where(channels < old, channels, -1)


def shifted(channels: ChannelMap, by: int) -> ChannelMap:
    """Return a map whose old channels lie further on."""
    return torch.where(channels < 0, channels, channels + by)


def share_of(channels: ChannelMap, start: int, size: int) -> ChannelMap:
    """Return a map into a share of the old channels, from ``start``."""
    inside = (channels >= start) & (channels < start + size)
    return torch.where(inside, channels - start, -1)


def repeated(channels: ChannelMap, pixels: int) -> ChannelMap:
    """Return the map of features behind a flattening of channels of so many pixels."""
    spread = channels[:, None] * pixels + torch.arange(pixels)
    return torch.where(channels[:, None] < 0, -1, spread).flatten()


def joined(maps: Sequence[ChannelMap]) -> ChannelMap:
    """Return the map of concatenated channels."""
    return torch.cat(list(maps))
