"""Architectures as torch modules: which module does a genome describe?"""

from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.channel_padding import block, copy_back, padded
from optuna_de.cnn.modules.custom_layers import CUSTOM_LAYERS
from optuna_de.cnn.modules.tta import TTA

__all__ = ["CUSTOM_LAYERS", "TTA", "block", "build", "copy_back", "padded"]
