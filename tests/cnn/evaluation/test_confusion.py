"""Confusion of classes: counts of a real network, its errors, table and drawing."""

from xml.etree import ElementTree

import torch

from optuna_de.cnn.evaluation.confusion import class_errors, confusion_table, draw_confusion
from optuna_de.cnn.training.evaluate import evaluate_in_memory
from tests.cnn.kit import digits, network

COUNTS = [[8, 2, 0], [0, 0, 0], [1, 0, 3]]
NAMES = ("cat|", "<b>", "a very long name of a class")


def test_counts_are_those_of_the_answers() -> None:
    data, model = digits(), network()
    counts = torch.full((10, 10), 7)
    error, _ = evaluate_in_memory(
        model,
        data.validation,
        data.mean,
        data.std,
        device="cpu",
        batch_sizes=(64,),
        confusion=counts,
    )
    assert counts.sum(1).tolist() == data.validation.labels.bincount(minlength=10).tolist()
    assert 1 - counts.diag().sum().item() / counts.sum().item() == error


def test_errors_table_and_drawing_of_classes() -> None:
    assert class_errors(COUNTS, NAMES) == {"cat|": 0.2, NAMES[2]: 0.25}
    lines = confusion_table(COUNTS, NAMES).splitlines()
    assert lines[2].startswith("| is cat&#124; | 8 | 2 | 0 |")
    assert confusion_table([[1] * 11] * 11, [str(i) for i in range(11)]) == ""
    drawing = ElementTree.fromstring(draw_confusion(COUNTS, NAMES))
    texts = [e.text for e in drawing.iter() if e.tag.endswith("text")]
    assert texts.count("<b>") == 2
    assert {"8", "2", "1", "3"} <= set(texts)
