"""The model card of a final training, in Markdown."""

from __future__ import annotations

from typing import Any

from optuna_de._text import duration, number_text

CHOSEN = "the epoch with the least validation error"
_NAMED = ("name", "version", "batch_size", "epochs")


def model_card(result: dict[str, Any]) -> str:
    """Return the model card of a result in Markdown."""
    setup, shipped = result["setup"], result["figures"][result["shipped"]]
    parts = [
        f"# {setup['architecture']}",
        f"A convolutional network that tells {len(setup['classes'])} classes of {setup['data']} "
        f"apart: {', '.join(setup['classes'])}. Test accuracy "
        f"{shipped['test accuracy']:.2%} at {result['parameters']:,} parameters.",
        "## Figures",
        figure_table(result),
        honesty(result),
        "## Data",
        _list(_pick(setup, "data", "data fingerprint", "image shape", "split seed")),
        f"{_trained_on(setup)} images trained the network; the test split was opened once, "
        "after the last epoch.",
        "## Training",
        _list({"recipe": _recipe(setup), **_pick(setup, "epochs", "batch size", "seed")}),
        _list({k: v for k, v in setup["recipe"].items() if k not in _NAMED}),
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
        "and the mean and deviation that images in [0, 1] are normalised by; `result.json` "
        "holds all of this page.",
    ]
    return "\n\n".join(parts) + "\n"


def _pick(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _list(values: dict[str, Any]) -> str:
    return "\n".join(f"- {name}: {number_text(value)}" for name, value in values.items())


def _recipe(setup: dict[str, Any]) -> str:
    return f"{setup['recipe']['name']} version {setup['recipe']['version']}"


def _trained_on(setup: dict[str, Any]) -> str:
    kept = setup["validation"] == "kept apart"
    images = setup["train images"] + (0 if kept else setup["validation images"])
    return f"{images:,}"


def figure_table(result: dict[str, Any]) -> str:
    """Return the figures of a result as a Markdown table."""
    lines = ["| weights | epoch | validation error | test error | test accuracy | test loss |"]
    lines.append("| --- | --: | --: | --: | --: | --: |")
    names = {"last": "last epoch", "best": CHOSEN}
    for key, row in result["figures"].items():
        held = row["validation error"]
        validation = "none kept" if held is None else f"{held:.2%}"
        lines.append(
            f"| {names[key]} | {row['epoch']} | {validation} | {row['test error']:.2%} "
            f"| {row['test accuracy']:.2%} | {row['test loss']:.4f} |"
        )
    return "\n".join(lines)


def honesty(result: dict[str, Any]) -> str:
    """Say in one sentence what the figures are of, and how the shipped weights were chosen."""
    images = result["figures"]["last"]["test images"]
    if result["shipped"] == "last":
        return (
            "Training took the train and validation splits together, so no image was left to "
            f"choose an epoch by: the last one counts, on {images:,} test images."
        )
    held = result["setup"]["validation images"]
    return (
        f"{held:,} validation images stayed out of training and chose the epoch whose weights "
        f"`model.pt` holds (`last.pt`: the last one's); both are scored on {images:,} test images."
    )
