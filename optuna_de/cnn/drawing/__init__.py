"""Drawings of architectures as SVG and Plotly figures. No torch."""

from optuna_de.cnn.drawing.plots import (
    Drawable,
    draw_comparison_svg,
    draw_svg,
    plot_architecture,
    plot_comparison,
)

__all__ = ["Drawable", "draw_comparison_svg", "draw_svg", "plot_architecture", "plot_comparison"]
