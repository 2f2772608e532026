"""Store: where do decoded images lie, and how are they read by index?"""

from optuna_de.cnn.data.store.cache import cache_folder, clear_cache
from optuna_de.cnn.data.store.image_store import ImageStore, stored_images
from optuna_de.cnn.data.store.mapped_images import Images, MappedImages

__all__ = [
    "ImageStore",
    "Images",
    "MappedImages",
    "cache_folder",
    "clear_cache",
    "stored_images",
]
