"""Which library's model screens: rank correlation, time to fit and predict, and install size.

Run ``python -m benchmarks.screening.library --save`` where BoTorch is installed, too. All models
see the same features and stretched errors of NAS-Bench-201: half of the points drawn from all,
half from the best fifth, as a search gathers them. They rank the best fifth. ``scikit-learn`` is
what :mod:`optuna_de.screening.surrogate` does; the others are used with their defaults.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from packaging.requirements import Requirement
from scipy.stats import spearmanr

from benchmarks.common.results import Array, Row, cell, header, markdown, results_of, write
from benchmarks.common.tabular import OPS, load
from optuna_de.evolution.genome import Choices, Genome
from optuna_de.evolution.variation import Catalog
from optuna_de.screening.features import features
from optuna_de.screening.gaussian_process import Model, most_likely
from optuna_de.screening.surrogate import LENGTHS, NOISES
from optuna_de.screening.transforms import Stretch

RESULTS = results_of(__file__)

Predict = Callable[[Array], Array]
TABLES = ("nb201-cifar10-error", "nb201-cifar100-error", "nb201-imagenet-error")
SIZES = (50, 100, 300)


def scikit_learn(x: Array, y: Array) -> Predict:
    """Fit a Gaussian process of the most likely length and noise of a grid."""
    best = Model.fit(x, y, 1.5, most_likely(x, y, 1.5, LENGTHS, NOISES))
    return lambda new: best.predict(new)[0]


def botorch(x: Array, y: Array) -> Predict:
    """Fit BoTorch's ``SingleTaskGP`` by its own optimiser."""
    torch, models = import_module("torch"), import_module("botorch.models")
    kind = import_module("gpytorch.mlls").ExactMarginalLogLikelihood
    losses = torch.tensor((y - y.mean()) / y.std())[:, None]
    model = models.SingleTaskGP(torch.tensor(x), losses)
    import_module("botorch.fit").fit_gpytorch_mll(kind(model.likelihood, model))

    def predict(new: Array) -> Array:
        with torch.no_grad():
            mean: Array = model.posterior(torch.tensor(new)).mean[:, 0].numpy()
        return mean

    return predict


def forest(x: Array, y: Array) -> Predict:
    """Fit scikit-learn's random forest of 100 trees."""
    trees = import_module("sklearn.ensemble").RandomForestRegressor(random_state=0)
    predict: Predict = trees.fit(x, y).predict
    return predict


LIBRARIES: dict[str, tuple[str, Callable[[Array, Array], Predict]]] = {
    "scikit-learn": ("scikit-learn", scikit_learn),
    "BoTorch": ("botorch", botorch),
    "random forest": ("scikit-learn", forest),
}


def points(name: str) -> tuple[Array, Array]:
    """Return features (15,625, d) and log errors of a table of NAS-Bench-201."""
    table = load(name)
    catalog = Catalog({op: Choices(OPS) for op in table.space}, {})
    cells = product(OPS, repeat=len(table.space))
    genomes = [Genome(dict(zip(table.space, cell, strict=True)), {}) for cell in cells]
    return features(genomes, catalog), np.log(table.losses.reshape(-1))


def judge(library: str, x: Array, losses: Array, n: int, seed: int) -> tuple[float, float]:
    """Return the rank correlation in the best fifth, and the seconds of fit and prediction."""
    rng, good = np.random.default_rng(seed), np.argsort(losses)[: len(losses) // 5]
    drawn = [rng.choice(len(x), n // 2, replace=False), rng.choice(good, n // 2, replace=False)]
    trained = np.unique(np.concatenate(drawn))
    y = Stretch.of(losses[trained]).forward(losses[trained])
    asked = np.setdiff1d(good, trained)
    begun = time.perf_counter()
    mean = LIBRARIES[library][1](x[trained], y)(x[asked])
    return float(spearmanr(mean, losses[asked])[0]), time.perf_counter() - begun


def closure(name: str, seen: dict[str, float]) -> dict[str, float]:
    """Return the MiB of a distribution and of all that it requires, by name."""
    name = name.lower().replace("_", "-")
    if name in seen:
        return seen
    try:
        held = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return seen
    paths = [Path(str(held.locate_file(file))) for file in held.files or ()]
    seen[name] = sum(path.stat().st_size for path in paths if path.exists()) / 2**20
    for needed in map(Requirement, held.requires or ()):
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            closure(needed.name, seen)
    return seen


def weight(library: str) -> float:
    """Return the MiB that an installation of Optuna and torch grows by."""
    held = closure("torch", closure("optuna", {}))
    return sum(closure(LIBRARIES[library][0], dict(held)).values()) - sum(held.values())


def line(library: str, n: int, rows: Sequence[Row]) -> list[Any]:
    """Return the line of a library and a number of points."""
    own = [row for row in rows if (row["library"], row["points"]) == (library, n)]
    ranks, seconds = ([row[name] for row in own] for name in ("rank correlation", "seconds"))
    return [library, n, cell(ranks, 3), cell(seconds, 2), round(own[0]["MiB"])]


def table(rows: Sequence[Row]) -> str:
    """Return the table of saved rows."""
    columns = [
        "model",
        "points",
        "rank correlation, best fifth",
        "s",
        "MiB beside Optuna and torch",
    ]
    keys = dict.fromkeys((row["library"], row["points"]) for row in rows)
    return markdown(columns, [line(*key, rows) for key in keys])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # BoTorch's on inputs that are not scaled to [0, 1]
    rows: list[Row] = []
    x, losses = points(TABLES[0])
    for library in LIBRARIES:
        judge(library, x, losses, SIZES[0], 0)  # the first call pays for the import
    for name in TABLES:
        x, losses = points(name)
        for library, n, seed in product(LIBRARIES, SIZES, range(args.seeds)):
            rank, seconds = judge(library, x, losses, n, seed)
            about = {"table": name, "library": library, "points": n, "seed": seed}
            rows.append({**about, "rank correlation": rank, "seconds": round(seconds, 4)})
    sizes = {library: round(weight(library), 1) for library in LIBRARIES}
    rows = [{**row, "MiB": sizes[row["library"]]} for row in rows]
    print(table(rows))
    if args.save:
        print(write(RESULTS / "screening_library.jsonl", header(len(TABLES) * args.seeds), rows))


if __name__ == "__main__":
    main()
