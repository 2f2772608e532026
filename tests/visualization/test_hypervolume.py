"""Hypervolume: the box, the curve, and studies in one box."""

from itertools import pairwise

import pytest

from optuna_de.visualization import hypervolume as _hypervolume
from optuna_de.visualization import plot_hypervolume
from optuna_de.visualization.hypervolume import Curve, Info
from tests.visualization import kit


def test_info_of_two_linear_objectives() -> None:
    study = kit.study(study_name="s")
    kit.add(study, 0.0, 10.0, seconds=5)
    kit.add(study, 10.0, 20.0, seconds=7)
    kit.add(study, 10.0, 12.0, attrs={"seconds": 1.5})
    kit.add(study, 5.0, 5.0, constraint=2.0)
    kit.add(study, 0.0, 10.0)
    info = _hypervolume.info(study)
    assert info.reference == (11.0, 21.0)
    assert info.log == (False, False)
    (curve,) = info.curves
    assert curve.numbers == (0, 1, 2, 3, 4)
    assert curve.seconds == (5.0, 12.0, 13.5, 23.5, 33.5)
    assert curve.volumes == pytest.approx((1.0, 1.0, 1.0, 1.0, 1.0))


def test_the_volume_grows_by_what_a_trial_adds() -> None:
    study = kit.study(study_name="s")
    for values in ((10.0, 0.0), (0.0, 10.0), (5.0, 5.0), (6.0, 6.0)):
        kit.add(study, *values)
    volumes = _hypervolume.info(study).curves[0].volumes  # box 11 x 11
    assert volumes == pytest.approx((11 / 121, 21 / 121, 46 / 121, 46 / 121))


def test_wide_objectives_are_measured_in_logarithms() -> None:
    study = kit.study(study_name="s")
    for values in ((1.0, 10.0), (0.0, 1000.0)):
        kit.add(study, *values)
    info = _hypervolume.info(study)
    assert info.log == (False, True)
    assert info.reference == pytest.approx((1.1, 10**3.2))
    assert info.curves[0].volumes == pytest.approx((0.1 / 1.1, (0.1 * 2.2 + 0.2) / (1.1 * 2.2)))


def test_maximised_objectives_count_downwards() -> None:
    low, high = kit.study(study_name="s"), kit.study(("minimize", "maximize"), study_name="s")
    for a, b in ((3.0, -8.0), (5.0, -9.0), (4.0, -2.0)):
        kit.add(low, a, b)
        kit.add(high, a, -b)
    one, other = _hypervolume.info(low), _hypervolume.info(high)
    assert one.curves == other.curves
    assert other.reference == (one.reference[0], -one.reference[1])


def test_a_given_reference_bounds_what_counts() -> None:
    study = kit.study(study_name="s")
    for values in ((8.0, 8.0), (2.0, 6.0), (0.0, 4.0)):
        kit.add(study, *values)
    info = _hypervolume.info(study, reference_point=(4.0, 8.0))
    assert info.reference == (4.0, 8.0)
    assert info.curves[0].volumes == pytest.approx((0.0, 4 / 16, 1.0))


def test_studies_share_the_box() -> None:
    studies = []
    for name, a in (("a", 0.0), ("b", 10.0)):
        studies.append(kit.study(study_name=name))
        kit.add(studies[-1], a, a)
    info = _hypervolume.info(studies)
    assert info == Info(
        (Curve("a", (0,), (10.0,), (1.0,)), Curve("b", (0,), (10.0,), (1 / 121,))),
        ("Objective 0", "Objective 1"),
        (11.0, 11.0),
        (False, False),
    )
    assert [trace.name for trace in plot_hypervolume(studies).data] == ["a", "a", "b", "b"]


def test_compute_is_shown_in_a_fitting_unit() -> None:
    study = kit.study()
    kit.add(study, 1.0, 1.0, seconds=3 * 3600)
    figure = plot_hypervolume(study)
    assert figure.layout.xaxis2.title.text == "Compute (hours)"
    assert tuple(figure.data[1].x) == (3.0,)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="reference_point has 1 values, but 2"):
        plot_hypervolume(kit.study(), reference_point=[1.0])
    with pytest.raises(ValueError, match="A front needs two objectives"):
        plot_hypervolume(kit.study(("minimize",)))
    with pytest.raises(ValueError, match="same directions"):
        plot_hypervolume([kit.study(), kit.study(("minimize", "maximize"))])
    with pytest.raises(ValueError, match="at least one study"):
        plot_hypervolume([])


def test_the_drawn_line_has_its_ends_and_each_visible_step() -> None:
    study = kit.study()
    for i in range(1000):
        kit.add(study, 2.0 - i / 1000, 1.0)
    drawn = plot_hypervolume(study).data[0]
    volumes = _hypervolume.info(study).curves[0].volumes
    assert (drawn.x[0], drawn.x[-1]) == (1, 1000)
    assert len(drawn.x) < 520
    assert all(volumes[x - 1] == y for x, y in zip(drawn.x, drawn.y, strict=True))
    assert max(b - a for a, b in pairwise(drawn.y)) < 0.004
