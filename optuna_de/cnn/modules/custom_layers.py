"""Layers that torch lacks: joins of paths, a norm over channels, a factor for each channel.

An exported Python file holds a copy of those that its network uses, so a class here uses
``torch``, ``nn`` and its bases only.
"""

import torch
from torch import nn


class Join(nn.Module):
    """Paths side by side; an empty path is the identity."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def concatenated(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """Join outputs (n, c, h, w) by channel, so that each gets its gradient as a block.

        The gradient that torch slices out of the joint one has gaps, over which norms and
        convolutions take several times as long on a CPU.
        """
        for part in parts:
            if part.requires_grad:
                part.register_hook(  # type: ignore[no-untyped-call]
                    lambda g: g.contiguous(memory_format=torch.channels_last)
                )
        return torch.cat(parts, dim=1)


class Add(Join):
    """Join of paths: the sum of their outputs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, c, h, w) to the shape of every path's output."""
        total: torch.Tensor = sum(branch(x) for branch in self.branches)
        return total


class Multiply(Join):
    """Join of paths: the product of their outputs, those behind the first (n, c, 1, 1) or full."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, c, h, w) to the shape of the first path's output."""
        product: torch.Tensor = self.branches[0](x)
        for branch in self.branches[1:]:
            product = product * branch(x)
        return product


class Concat(Join):
    """Join of paths: their outputs concatenated by channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, c, h, w) to (n, sum of the paths' channels, h, w)."""
        return self.concatenated([branch(x) for branch in self.branches])


class ChannelSplit(Join):
    """Join of paths, each on its share of the channels, concatenated by channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, c, h, w) to (n, sum of the paths' channels, h, w)."""
        (size, more), outputs, start = divmod(int(x.shape[1]), len(self.branches)), [], 0
        for number, branch in enumerate(self.branches):
            share = size + (number < more)
            outputs.append(branch(x[:, start : start + share]))
            start += share
        return self.concatenated(outputs)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel (Ba et al., 2016)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, c, h, w) to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelScale(nn.Module):
    """A trainable factor for each channel, 1 at the start (LayerScale: Touvron et al., 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, c, h, w) to the same shape."""
        return x * self.weight.view(-1, 1, 1)


class Whitening(nn.Conv2d):
    """Convolution whose weights are not trained: windows of the image, in another basis.

    At first each output is one number of the window, so none is lost.
    """

    def __init__(self, inputs: int, window: int, signs: int = 1) -> None:
        filters = inputs * window**2
        padding = window // 2 * (window % 2)
        super().__init__(inputs, signs * filters, window, padding=padding, bias=False)
        self.weight.requires_grad_(False)
        self.set_filters(torch.eye(filters))

    def set_filters(self, filters: torch.Tensor) -> None:
        """Set the weights to rows (inputs * window^2, the same), for each sign in turn."""
        signs = self.out_channels // len(filters)
        signed = torch.cat([filters if i % 2 == 0 else -filters for i in range(signs)])
        with torch.no_grad():
            self.weight.copy_(signed.view_as(self.weight))


CUSTOM_LAYERS: dict[str, type[nn.Module]] = {
    layer.__name__: layer
    for layer in (Add, Multiply, Concat, ChannelSplit, ChannelNorm, ChannelScale, Whitening)
}
"""The classes by name, as :class:`optuna_de.cnn.architecture.layers.Call` spells them."""
