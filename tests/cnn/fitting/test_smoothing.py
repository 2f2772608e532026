"""Smoothing: less regret of picks than the least error as measured."""

import numpy as np
import pytest

from optuna_de.cnn.fitting.smoothing import smoothed_errors


def test_picks_by_smoothed_errors_have_less_regret() -> None:
    rng = np.random.default_rng(0)
    raw, smooth = [], []
    for _ in range(300):
        sizes = np.exp(rng.uniform(np.log(10_000), np.log(30_000), 40))
        truth = 0.5 - 0.05 * np.log(sizes / 10_000) + 0.01 * rng.standard_normal(40)
        measured = rng.binomial(300, truth) / 300
        raw.append(truth[measured.argmin()])
        smooth.append(truth[smoothed_errors(measured, np.full(40, 300), sizes).argmin()])
    gain = np.array(raw) - np.array(smooth)
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain)) > 0


def test_errors_of_many_images_stay_and_those_of_few_move_to_the_line() -> None:
    sizes = 1_000 * 2.0 ** np.arange(8)
    errors = np.linspace(0.4, 0.2, 8) + np.array([0, 0.03, -0.03, 0, 0.03, -0.03, 0, 0])
    many = smoothed_errors(errors, np.full(8, 10**7), sizes)
    assert many == pytest.approx(errors, abs=1e-3)
    few = smoothed_errors(errors, np.full(8, 50), sizes)
    assert np.diff(few, 2) == pytest.approx(0, abs=1e-6)


def test_few_networks_and_perfect_ones_stay() -> None:
    assert smoothed_errors([0.3, 0.1], [100, 100], [10, 20]).tolist() == [0.3, 0.1]
    assert smoothed_errors([], [], []).tolist() == []
    assert smoothed_errors([0.0] * 6, [100] * 6, [50] * 6) == pytest.approx(0)
