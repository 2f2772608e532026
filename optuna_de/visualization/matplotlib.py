"""Matplotlib versions of plots; matplotlib must be installed.

As in :mod:`optuna.visualization.matplotlib`, each returns the axes it drew on.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import optuna
from matplotlib.axes import Axes as MatplotlibAxes

from optuna_de._colours import INK
from optuna_de.visualization import front_over_time, hypervolume, style
from optuna_de.visualization.trials.objective_plane import Axes

__all__ = ["plot_front_over_time", "plot_hypervolume"]
_DASHES = ("-", "--", ":", "-.")
_SYMBOLS = "osD^pX"


def plot_front_over_time(
    study: optuna.Study,
    *,
    target_names: Sequence[str] | None = None,
    axes: Axes | None = None,
    moments: int = 4,
) -> MatplotlibAxes:
    """Plot the front at several moments, see :func:`optuna_de.visualization.plot_front_over_time`.

    Raises:
        ValueError: If the study has one objective, or an argument does not fit it.
    """
    info = front_over_time.info(study, target_names, axes, moments)
    _, ax = plt.subplots()
    ax.set_title(front_over_time.TITLE, loc="left")
    if info.excuse:
        return _say(ax, info.excuse)
    last = max(len(info.fronts) - 1, 1)
    for i, front in enumerate(info.fronts):
        ax.step(
            [p.x for p in front.points],
            [p.y for p in front.points],
            where="pre" if info.plane.x_grows else "post",
            color=_rgb(style.shade(i / last)),
            marker=_SYMBOLS[i % len(_SYMBOLS)],
            markeredgecolor=INK,
            label=f"{front.finished} trials",
        )
    if info.plane.x_log:
        ax.set_xscale("log")
    ax.set_xlabel(_plain(info.plane.x_name))
    ax.set_ylabel(_plain(info.plane.y_name))
    ax.legend(frameon=False)
    return _soften(ax)


def plot_hypervolume(
    study: optuna.Study | Sequence[optuna.Study],
    *,
    target_names: Sequence[str] | None = None,
    reference_point: Sequence[float] | None = None,
) -> MatplotlibAxes:
    """Plot the hypervolume by trials, see :func:`optuna_de.visualization.plot_hypervolume`.

    Raises:
        ValueError: If a study has one objective, the studies differ in theirs, or an argument
            does not fit them.
    """
    info = hypervolume.info(study, target_names, reference_point)
    _, ax = plt.subplots()
    ax.set_title(hypervolume.TITLE, loc="left")
    if info.excuse:
        return _say(ax, info.excuse)
    for i, curve in enumerate(info.curves):
        ax.step(
            range(1, len(curve.volumes) + 1),
            curve.volumes,
            where="post",
            color=style.class_colour(i),
            linestyle=_DASHES[i % len(_DASHES)],
            label=_plain(curve.study_name),
        )
    ax.set_ylim(bottom=0)
    ax.set_xlabel("Finished trials")
    ax.set_ylabel("Dominated share of the box")
    ax.legend(frameon=False)
    return _soften(ax)


def _plain(text: str) -> str:
    """Return foreign text without a meaning to matplotlib's mathtext and legends."""
    return (f"\u200b{text}" if text.startswith("_") else text).replace("$", r"\$")


def _rgb(colour: str) -> tuple[float, ...]:
    """Read plotly's ``rgb(r, g, b)``."""
    return tuple(float(part) / 255 for part in colour[4:-1].split(","))


def _say(ax: MatplotlibAxes, sentence: str) -> MatplotlibAxes:
    ax.text(0.5, 0.5, sentence, ha="center", va="center", wrap=True, transform=ax.transAxes)
    ax.set_axis_off()
    return ax


def _soften(ax: MatplotlibAxes) -> MatplotlibAxes:
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
