"""The fingerprint sees every part of what it covers."""

import numpy as np
import torch

from optuna_de.cnn.data.dataset import fingerprint


def test_images_labels_classes_indices_and_shapes_all_count() -> None:
    images = torch.arange(48, dtype=torch.uint8).view(4, 3, 2, 2)
    labels, rows = torch.tensor([0, 1, 0, 1]), np.arange(4)
    base = fingerprint(("a", "b"), [(images, labels)], [rows])
    others = [
        fingerprint(("a", "c"), [(images, labels)], [rows]),
        fingerprint(("a", "b"), [(images + 1, labels)], [rows]),
        fingerprint(("a", "b"), [(images.view(4, 3, 1, 4), labels)], [rows]),
        fingerprint(("a", "b"), [(images, labels.flip(0))], [rows]),
        fingerprint(("a", "b"), [(images, labels)], [rows + 1]),
    ]
    assert len({base, *others}) == 6
    assert base == fingerprint(("a", "b"), [(images.clone(), labels.clone())], [rows.copy()])
    assert len(base) == 16
