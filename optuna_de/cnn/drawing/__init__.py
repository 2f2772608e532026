"""Drawings of architectures as SVG and Plotly figures. No torch."""

from optuna_de.cnn.drawing.plots import Drawable, draw_svg

__all__ = ["Drawable", "draw_svg"]
