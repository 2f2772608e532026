"""Write the page of this folder: ``python -m benchmarks.training``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.training import (
    accuracy_table,
    depthwise,
    distillation,
    drawn,
    precision,
    recipe_versions,
    throughput_tables,
    tune_recipe,
)

SECTIONS: page.Sections = {
    "throughput": ("Images per second of training", throughput_tables.tables),
    "drawn": ("The step of networks that a search draws", drawn.table),
    "depthwise": ("Separable units in bfloat16", depthwise.table),
    "recipe_versions": ("Recipe `fast`: version 2 against version 1", recipe_versions.table),
    "distillation": ("Distillation at equal time", distillation.table),
    "tune_recipe": ("Recipes found by a search", tune_recipe.table),
    "precision": (
        "bfloat16 against float32 on the CPU",
        lambda head, rows: precision.tables(list(rows)),
    ),
    "accuracy": ("Validation error of `fast` at equal epochs", accuracy_table.table),
    "gpu": ("Training on a graphics card", throughput_tables.card_tables),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS)
