"""Architectures as torch modules: how a network is built."""

from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.channel_padding import block, copy_back, padded

__all__ = ["block", "build", "copy_back", "padded"]
