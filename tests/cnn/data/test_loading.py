"""What holds of a loaded set as a whole."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from optuna_de.cnn.data.loading import load_data, load_test


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            (tmp_path / "pets" / part / kind).mkdir(parents=True)
            for i in range(10):
                pixels = rng.integers(0, 256, (4, 6, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pets" / part / kind / f"{i}.png")
    return tmp_path / "pets"


def test_coloured_images_lie_channels_last(pets: Path) -> None:
    data = load_data(pets)
    for split in (data.train, data.validation, load_test(pets), data.to("cpu").train):
        assert split.images.is_contiguous(memory_format=torch.channels_last)
        assert not split.images.is_contiguous()
