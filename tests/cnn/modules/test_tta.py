import pytest
import torch
from torch import Tensor, nn

from optuna_de.cnn.modules.tta import TTA, averaged_logits


class Corner(nn.Module):
    """Answers with four pixels, and counts the images that it saw."""

    seen = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return images[:, 0, 1:3, 1:3].flatten(1)


@pytest.mark.parametrize("tta", TTA)
def test_logits_are_the_mean_over_views(tta: str) -> None:
    image = torch.randn(2, 1, 6, 5, generator=torch.Generator().manual_seed(0))

    def mirrored(x: Tensor) -> Tensor:
        return (x[:, 0, 1:3, 1:3] + x.flip(3)[:, 0, 1:3, 1:3]).flatten(1) / 2

    down, up = (image.roll((s, s), (2, 3)) for s in (1, -1))
    down[:, :, 0], down[:, :, :, 0] = down[:, :, 2], down[:, :, :, 2]
    up[:, :, -1], up[:, :, :, -1] = up[:, :, -3], up[:, :, :, -3]
    expected = {
        "none": image[:, 0, 1:3, 1:3].flatten(1),
        "flips": mirrored(image),
        "flips-shifts": mirrored(image) / 2 + mirrored(down) / 4 + mirrored(up) / 4,
    }[tta]
    network = Corner()
    torch.testing.assert_close(averaged_logits(network, image, tta), expected)
    assert network.seen == 2 * TTA[tta]
