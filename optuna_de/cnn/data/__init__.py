"""Images, labels, splits and augmentation: what networks see."""

from optuna_de.cnn.data.dataset import ImageData, Split, moments
from optuna_de.cnn.data.loading import DataChoice, load_data, load_test
from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.data.reading.images import SUFFIXES, DataError, fit_to, read_image
from optuna_de.cnn.data.reading.resizing import Resizing
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
