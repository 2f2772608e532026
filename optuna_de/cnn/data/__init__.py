"""Images, labels, splits and augmentation: what networks see."""

from optuna_de.cnn.data.cache import cache_folder, clear_cache
from optuna_de.cnn.data.dataset import ImageData, Split, moments
from optuna_de.cnn.data.images import SUFFIXES, DataError, fit_to, read_image
from optuna_de.cnn.data.loading import DataChoice, load_data, load_test
from optuna_de.cnn.data.sources import NAMES

__all__ = [
    "NAMES",
    "SUFFIXES",
    "DataChoice",
    "DataError",
    "ImageData",
    "Split",
    "cache_folder",
    "clear_cache",
    "fit_to",
    "load_data",
    "load_test",
    "moments",
    "read_image",
]
