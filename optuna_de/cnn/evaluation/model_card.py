"""Model card of a final training, in Markdown."""

from __future__ import annotations

from typing import Any

from optuna_de._markdown import escape, table
from optuna_de._text import duration, number_text, times
from optuna_de.cnn.evaluation.confusion import confusion_table
from optuna_de.cnn.evaluation.training_job import ROUNDED, STRETCHED
from optuna_de.cnn.metrics import get_metric
from optuna_de.cnn.modules.tta import TTA
from optuna_de.cnn.study.objectives import objective_text

CHOSEN = "epoch with the lowest validation {metric}"
_NAMED = ("name", "version", "batch_size", "epochs")


def model_card(result: dict[str, Any]) -> str:
    """Return the model card of a result in Markdown."""
    setup, shipped = result["setup"], result["figures"][result["shipped"]]
    extra = [name for name in (STRETCHED, ROUNDED) if name in setup]
    parts = [
        *_results(result, shipped),
        "## Data",
        _list(
            {
                **_pick(setup, "data", "data fingerprint"),
                "image shape": times(tuple(setup["image shape"])),
                **_pick(setup, "split seed"),
            }
        ),
        f"{_trained_on(setup)} images trained the network; the test split was opened "
        f"{_openings(setup)}",
        "## Training",
        _list({"recipe": _recipe(setup), **_pick(setup, "epochs", *extra, "batch size", "seed")}),
        _list({k: v for k, v in setup["recipe"].items() if k not in _NAMED}),
        *_taught(setup),
        "## Network",
        _list({**_pick(setup, "architecture", "origin"), **_pick(result, "parameters", "macs")}),
        "Layers: `layers.csv`; drawing: `drawing.svg`; curves: `curve.csv`, `curve.html`.",
        "## Cost and machine",
        _list(
            {
                "training": duration(result["training seconds"]),
                **_pick(setup, "threads", "precision"),
            }
        ),
        _list(_pick(result, "machine", "versions")),
        "## Files",
        "`model.pt` holds the weights as plain tensors, `model.json` the network, the classes "
        "and the mean and deviation that normalise images in [0, 1]; `result.json` holds all of "
        "this page.",
    ]
    return "\n\n".join(parts) + "\n"


def _taught(setup: dict[str, Any]) -> list[str]:
    """Return one sentence on the teacher; none without."""
    if "teacher" not in setup:
        return []
    teacher = setup["teacher"]
    return [
        f"It also learned from the answers of a teacher, {escape(teacher['architecture'])} with "
        f"the weights {teacher['weights']} (distillation)."
    ]


def _results(result: dict[str, Any], shipped: dict[str, Any]) -> list[str]:
    setup, metric = result["setup"], get_metric(metric_of(result))
    return [
        f"# {escape(setup['architecture'])}",
        f"A convolutional network for {len(setup['classes'])} classes of {escape(setup['data'])}: "
        f"{', '.join(map(escape, setup['classes']))}. Test {metric.score} "
        f"{1 - shipped[f'test {metric.name}']:.2%} at {result['parameters']:,} parameters.",
        "## Figures",
        figure_table(result),
        honesty(result),
        *_searched(setup),
        *tta_figures(result),
        *int8_figures(result),
        *class_section(result.get("class errors", {})),
        *filter(None, [confusion_table(shipped.get("confusion", []), setup["classes"])]),
    ]


def _searched(setup: dict[str, Any]) -> list[str]:
    """Return what the search measured of the network of a model card; nothing without one."""
    objectives = setup.get("objectives", {})
    texts = [objective_text(name, value) for name, value in objectives.items()]
    return [f"In the search: {escape(', '.join(texts))} (validation images)."] if texts else []


def class_section(errors: dict[str, float]) -> list[str]:
    """Return the section of a model card on test errors by class, worst first; none without."""
    if not errors:
        return []
    worst = sorted(errors.items(), key=lambda row: -row[1])
    rows = [(escape(name), f"{error:.2%}") for name, error in worst]
    return ["## Classes", table(("class", "test error"), rows, left=("class",))]


def _pick(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _list(values: dict[str, Any]) -> str:
    return "\n".join(
        f"- {escape(name)}: {escape(number_text(value))}" for name, value in values.items()
    )


def _recipe(setup: dict[str, Any]) -> str:
    return f"{setup['recipe']['name']} version {setup['recipe']['version']}"


def _openings(setup: dict[str, Any]) -> str:
    """Say when the test split was opened: a training that went on may have opened it before."""
    earlier = setup.get(STRETCHED, [])
    if not earlier:
        return "once, after the last epoch."
    said = ", ".join(map(str, earlier))
    return (
        f"after the last epoch, and maybe before: the training was planned for {said} epochs "
        "first, and its schedule was stretched when it went on."
    )


def _trained_on(setup: dict[str, Any]) -> str:
    kept = setup["validation"] == "kept apart"
    images = setup["train images"] + (0 if kept else setup["validation images"])
    return f"{images:,}"


def metric_of(result: dict[str, Any]) -> str:
    """Return what counts as the error of a model, for its card; "error" if nothing else does."""
    return str(result["setup"].get("metric", "error"))


def figure_table(result: dict[str, Any]) -> str:
    """Return the figures of a final training as a Markdown table for its model card."""
    metric = metric_of(result)
    tested = tuple(dict.fromkeys([f"test {metric}", "test error", "test accuracy"]))
    head = ("weights", "epoch", f"validation {metric}", *tested, "test loss")
    names = {"last": "last epoch", "best": CHOSEN.format(metric=metric)}
    rows = (
        (
            *(names[key], row["epoch"]),
            "none kept" if row["validation error"] is None else f"{row['validation error']:.2%}",
            *(f"{row[name]:.2%}" for name in tested),
            f"{row['test loss']:.4f}",
        )
        for key, row in result["figures"].items()
    )
    return table(head, rows, left=("weights",))


def tta_figures(result: dict[str, Any]) -> list[str]:
    """Return what test-time augmentation gains and costs, for the model card; none without."""
    shipped, kind = result["figures"][result["shipped"]], result["setup"].get("tta", "none")
    if "test accuracy with tta" not in shipped:
        return []
    return [
        f"With test-time augmentation ({kind}: {TTA[kind]} passes an image, so {TTA[kind]} times "
        f"the MACs and the time) the test accuracy is {shipped['test accuracy with tta']:.2%}, "
        f"without {shipped['test accuracy']:.2%}. The model folder and its exports use it; the "
        "tables are without."
    ]


def int8_figures(result: dict[str, Any]) -> list[str]:
    """Return the figures of the int8 file beside those of float32; none without such a file."""
    if "int8" not in result:
        return []
    int8 = result["int8"]
    head = ("file", "kB", *(f"{name} accuracy" for name in int8["accuracies"]))
    rows = [
        (
            name,
            f"{int8[size] / 1000:.1f}",
            *(f"{row[i]:.2%}" for row in int8["accuracies"].values()),
        )
        for i, name, size in ((1, "float32", "float32 bytes"), (2, "int8", "bytes"))
    ]
    images = ", ".join(f"{row[0]:,} of {name}" for name, row in int8["accuracies"].items())
    trained = result["setup"]["validation"] != "kept apart"
    return [
        "## Int8",
        table(head, rows, left=("file",)),
        f"`{escape(int8['file'])}` is quantised to int8 (weights per channel, ranges from "
        f"{int8['calibration images']:,} validation images). Images scored: {images}."
        + (" The network was trained on the validation images, too." if trained else ""),
    ]


def honesty(result: dict[str, Any]) -> str:
    """Return which images the figures are of, and how the shipped weights were chosen."""
    images = result["figures"]["last"]["test images"]
    if result["shipped"] == "last" and result["setup"]["validation"] == "kept apart":
        held = result["setup"]["validation images"]
        return (
            f"{held:,} validation images were kept out of training; their {metric_of(result)} "
            "chose this "
            f"network among the finals. The test figures are those of its last epoch on "
            f"{images:,} images."
        )
    if result["shipped"] == "last":
        return (
            "Training used the training and validation splits together. The figures are those of "
            f"the last epoch on {images:,} test images."
        )
    held = result["setup"]["validation images"]
    return (
        f"{held:,} validation images were kept out of training to choose the best epoch. "
        "`model.pt` holds its weights, `last.pt` those of the last epoch; both are scored on "
        f"{images:,} test images."
    )
