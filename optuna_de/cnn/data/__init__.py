"""Images, labels, splits and augmentation: what networks see."""

from typing import TYPE_CHECKING

from optuna_de._lazy import lazy
from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.data.reading.images import SUFFIXES, DataError, fit_to, read_image
from optuna_de.cnn.data.reading.resizing import Resizing

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import ImageData, Split, moments
    from optuna_de.cnn.data.loading import DataChoice, load_data, load_test
    from optuna_de.cnn.data.sources import NAMES
    from optuna_de.cnn.data.store.cache import cache_folder, clear_cache

__all__ = [
    "NAMES",
    "SUFFIXES",
    "DataChoice",
    "DataError",
    "DataOptions",
    "ImageData",
    "Resizing",
    "Split",
    "cache_folder",
    "clear_cache",
    "fit_to",
    "load_data",
    "load_test",
    "moments",
    "read_image",
]

__getattr__ = lazy(
    __name__,
    {
        "ImageData": "dataset",
        "Split": "dataset",
        "moments": "dataset",
        "DataChoice": "loading",
        "load_data": "loading",
        "load_test": "loading",
        "NAMES": "sources",
        "cache_folder": "store.cache",
        "clear_cache": "store.cache",
    },
)
