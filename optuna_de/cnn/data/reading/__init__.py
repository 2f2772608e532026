"""Reading: how does a collection of images lie on a disk, and what do its files hold?"""

from optuna_de.cnn.data.reading.images import SUFFIXES, DataError, fit_to, read_image
from optuna_de.cnn.data.reading.layouts import LAYOUTS, list_splits
from optuna_de.cnn.data.reading.listing import FolderSplits, Listing
from optuna_de.cnn.data.reading.resizing import Resizing

__all__ = [
    "LAYOUTS",
    "SUFFIXES",
    "DataError",
    "FolderSplits",
    "Listing",
    "Resizing",
    "fit_to",
    "list_splits",
    "read_image",
]
