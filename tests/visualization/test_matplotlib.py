"""The twins for matplotlib draw the same numbers."""

from collections.abc import Iterator

import pytest

from optuna_de.visualization import front_over_time as _front
from optuna_de.visualization import hypervolume as _hypervolume
from tests.visualization import kit

pytest.importorskip("matplotlib").use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
twins = pytest.importorskip("optuna_de.visualization.matplotlib")


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


def test_fronts() -> None:
    ax = twins.plot_front_over_time(kit.family())
    info = _front.info(kit.family())
    for line, front in zip(ax.lines, info.fronts, strict=True):
        assert list(line.get_xdata()) == [p.x for p in front.points]
        assert list(line.get_ydata()) == [p.y for p in front.points]
    assert ax.get_xscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("parameters", "error")


def test_hypervolume() -> None:
    ax = twins.plot_hypervolume(kit.family())
    (curve,) = _hypervolume.info(kit.family()).curves
    assert tuple(ax.lines[0].get_ydata()) == curve.volumes


def test_nothing_to_plot_is_a_sentence() -> None:
    for plot in (twins.plot_front_over_time, twins.plot_hypervolume):
        assert plot(kit.study()).texts[0].get_text() == "This study has no finished trial yet."


def test_hostile_names_can_be_drawn() -> None:
    study = kit.study(study_name=r"_$\frac{$", names=[r"$\bad{$", "b"])
    kit.add(study, 0.5, 1.0)
    for plot in (twins.plot_front_over_time, twins.plot_hypervolume):
        plot(study).figure.canvas.draw()
