"""Image classifier in scikit-learn's habit: a search on arrays, ``fit(X, y)`` and ``predict``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from optuna_de._checks import require
from optuna_de.cnn.architecture.region import SPAN
from optuna_de.cnn.data.reading.arrays import as_images
from optuna_de.cnn.export.formats import open_model
from optuna_de.cnn.export.predict import probabilities
from optuna_de.cnn.fitting.shipping import Shipped
from optuna_de.cnn.fitting.time_budget import fit
from optuna_de.cnn.metrics import get_metric

_BATCH = 250
_LATER = {"metric": "error", "weigh_classes": False}
"""Settings with defaults that folders written before do not name."""


class ImageClassifierSearch(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Search of small image classifiers, as an estimator of scikit-learn.

    ``fit`` spends a budget of time as :func:`optuna_de.cnn.fit` does: a search, final trainings,
    one reading of the test images. A fifth of the images is kept for that test, so that the test
    error of each model is of images that nothing has seen. The same ``fit`` goes on with what an
    earlier one left in ``folder``.

    Args:
        hours: Time of search and final trainings, above 0.
        max_parameters: Largest network; None takes what suits the images.
        max_macs: Most multiply-accumulates for one image; None for no limit.
        metric: What counts as the error: "error", "balanced-error" or "macro-f1-error".
        weigh_classes: Whether the loss weighs classes by the inverse of their size.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        workers: Processes on this machine, 1 or more.
        folder: Gets the images, the study, checkpoints and models.
        random_state: Seed of the search and of all trainings, 0 or more.

    Attributes:
        classes_: The labels, sorted, of shape (k,).
        front_: The shipped models, small to large.
        best_: The model of the smallest validation error, which predicts.

    Example:
        >>> search = ImageClassifierSearch(hours=1, max_parameters=100_000)
        >>> search.fit(images, labels).predict(others)
    """

    def __init__(
        self,
        *,
        hours: float = 1.0,
        max_parameters: int | None = None,
        max_macs: int | None = None,
        metric: str = "error",
        weigh_classes: bool = False,
        device: str = "auto",
        workers: int = 1,
        folder: str | Path = "optuna_de_classifier",
        random_state: int = 0,
    ) -> None:
        self.hours = hours
        self.max_parameters = max_parameters
        self.max_macs = max_macs
        self.metric = metric
        self.weigh_classes = weigh_classes
        self.device = device
        self.workers = workers
        self.folder = folder
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> ImageClassifierSearch:  # noqa: N803
        """Search, train and test networks.

        Args:
            X: Whole numbers in [0, 255] of shape (n, h, w), (n, h, w, c) or (n, c, h, w), with
                1 or 3 channels.
            y: Labels of shape (n,), of two classes or more.

        Raises:
            ValueError: If images, labels or a setting are of no use.
        """
        images, labels = as_images(X), np.asarray(y)
        require(labels.shape == (len(images),), "y's shape", labels.shape, f"({len(images)},)")
        channels = images.shape[3]
        require(channels in (1, 3), "number of channels", channels, "1 or 3")
        get_metric(self.metric)
        most = self.max_parameters
        require(most is None or most >= 1, "max_parameters", most, "at least 1")
        classes, indices = np.unique(labels, return_inverse=True)
        require(len(classes) >= 2, "number of classes", len(classes), "at least 2")
        home = Path(self.folder) / self._key(images, indices)
        _write_images(home / "images", images, indices)
        done = fit(
            home / "images",
            hours=self.hours,
            between=None if most is None else (max(1, most // SPAN), most),
            max_macs=self.max_macs,
            metric=self.metric,
            weigh_classes=self.weigh_classes,
            device=self.device,
            workers=self.workers,
            seed=self.random_state,
            storage=f"sqlite:///{home}/study.db",
            artifacts=home / "artifacts",
            out=home / "models",
        )
        if not done.models:
            raise ValueError("No network was trained in that time; give more hours.")
        self.classes_ = classes
        self.front_ = done.models
        self.best_: Shipped = min(done.models, key=lambda model: model.validation_error)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class, of shape (n, k); rows sum to 1.

        Raises:
            NotFittedError: Before ``fit``.
        """
        check_is_fitted(self)
        model = open_model(self.best_.folder)
        images = as_images(X).transpose(0, 3, 1, 2)
        parts = [
            model.logits(np.ascontiguousarray(images[i : i + _BATCH]))
            for i in range(0, len(images), _BATCH)
        ]
        return probabilities(np.concatenate(parts))

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the likeliest class of each image, of shape (n,)."""
        chances = self.predict_proba(X)
        likeliest: NDArray[Any] = self.classes_[chances.argmax(1)]
        return likeliest

    def _key(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
        """Return a name that other images, labels or settings change."""
        given = self.get_params()
        plain = {name: given[name] for name, value in _LATER.items() if given[name] == value}
        left_out = {"folder", "workers", *plain}
        settings = {name: value for name, value in given.items() if name not in left_out}
        digest = hashlib.sha256(json.dumps([settings, images.shape], default=str).encode())
        digest.update(images.tobytes())
        digest.update(labels.tobytes())
        return digest.hexdigest()[:12]


def _write_images(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Write each image into the folder of its class, named so that classes keep their order."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        file = folder / f"{label:05d}" / f"{number:07d}.png"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file)
