"""Metrics: equal to scikit-learn's, with constants and chances that answers really give."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from optuna_de.cnn.metrics import METRICS, get_metric

SIZES = np.array([500, 5, 40])
RNG = np.random.default_rng(0)
THEIRS = {
    "error": lambda true, given: 1 - sklearn.accuracy_score(true, given),
    "balanced-error": lambda true, given: 1 - sklearn.balanced_accuracy_score(true, given),
    "macro-f1-error": lambda true, given: 1 - sklearn.f1_score(true, given, average="macro"),
}


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("classes", [(0, 1, 2), (0, 2)])
def test_metrics_are_those_of_scikit_learn(name: str, classes: tuple[int, ...]) -> None:
    true = np.repeat(np.array(classes), SIZES[list(classes)])
    given = np.where(RNG.random(len(true)) < 0.3, RNG.integers(0, 3, len(true)), true)
    counts = sklearn.confusion_matrix(true, given, labels=[0, 1, 2])
    assert METRICS[name].of(counts) == pytest.approx(THEIRS[name](true, given), abs=1e-12)


def test_a_constant_answer_looks_good_only_by_the_error() -> None:
    dogs = np.array([500, 5])
    constant = {name: metric.constant(dogs) for name, metric in METRICS.items()}
    assert constant["error"] == pytest.approx(5 / 505)
    assert constant["balanced-error"] == 0.5
    assert constant["macro-f1-error"] == pytest.approx(1 - 1000 / 1005 / 2)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_chance_is_a_constant_answer_on_equal_classes(metric) -> None:  # type: ignore[no-untyped-def]
    for classes in (2, 7):
        assert metric.chance(classes) == pytest.approx(metric.constant(np.full(classes, 30)))


def test_unequal_classes_tell_a_balanced_error_as_badly_as_few_images() -> None:
    assert METRICS["error"].images(SIZES) == 545
    assert METRICS["balanced-error"].images(SIZES) == pytest.approx(9 / (1 / 500 + 1 / 5 + 1 / 40))
    assert METRICS["balanced-error"].images(np.array([50, 50])) == 100


def test_another_metric_is_refused() -> None:
    with pytest.raises(ValueError, match=r"metric is 'auc', but must be one of error, balanced"):
        get_metric("auc")
