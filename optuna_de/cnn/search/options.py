"""Options of a search, checked before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from optuna_de._checks import require
from optuna_de._options import Option
from optuna_de.cnn.architecture.prices import (
    LATENCY,
    PRICES,
    Limit,
    Price,
    get_price,
    parse_limit,
)
from optuna_de.cnn.architecture.region import parse_sizes
from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.metrics import get_metric

Preset = Literal["modern", "seed"]
Between = Annotated[
    tuple[int, int] | None,
    Option(
        "Sizes among which to look, in parameters, e.g. 20k,1M (default: by the images).",
        "Budget",
        parse=parse_sizes,
    ),
]
"""Field of a search or a fit: least and most parameters."""
Stem = Annotated[
    str | None,
    Option("Units before every network, e.g. GELU-WH2s2 (activation, whitening).", "Search"),
]
"""Field of a search or a fit: the units before the body."""


def _weights(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"weights must be numbers such as 0.7,0.3, but is {text!r}.") from None


def _texts(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


@dataclass(frozen=True)
class SearchOptions(DataOptions):
    """Options of a search, see the help of ``optuna-de search`` for each.

    Numbers that are ``None`` come from the preset: ``seed`` is the report's own experiment (100
    trials: 20 and 8 times 10; 10 epochs, batches of 64), ``modern`` trains 40 networks.

    Raises:
        ValueError: If an option is out of its range, or two do not go together.
    """

    storage: Annotated[
        str, Option("Optuna storage; workers with the same URL share the study.", "Study")
    ] = field(default="sqlite:///optuna_de.db", repr=False)  # may hold a password
    study_name: Annotated[
        str | None, Option("Name of the study (default: data set and preset).", "Study")
    ] = None
    trials: Annotated[
        int | None,
        Option("Number of finished trials, over all workers (modern: 40, seed: 100).", "Budget"),
    ] = None
    epochs: Annotated[
        int | None, Option("Epochs per candidate (default: the recipe's).", "Budget")
    ] = None
    batch_size: Annotated[
        int | None,
        Option("Images per step (default: the recipe's).", "Budget", ("--batch-size", "--batch")),
    ] = None
    objectives: Annotated[
        tuple[str, ...],
        Option(
            "error, which stands for the metric, and one or two of "
            f"{', '.join(PRICES)} (default: error,parameters).",
            "Search",
            parse=_texts,
        ),
    ] = ("error", "parameters")
    limit: Annotated[
        tuple[str, ...],
        Option(
            "Limit on a price, e.g. parameters<=500k, activation-memory<=256KiB or latency<=5ms; "
            "may be repeated.",
            "Budget",
        ),
    ] = ()
    device_command: Annotated[
        str | None,
        Option(
            "Command that prints the latency in ms of an ONNX file as its last line, e.g. "
            "'ssh pi ./bench.sh {model}' (default: onnxruntime on this machine).",
            "Device",
        ),
    ] = None
    device_timeout: Annotated[float, Option("Seconds for the device command.", "Device")] = 60.0
    latency_table: Annotated[
        Path | None,
        Option(
            "Predict latencies by this table instead of measuring each; a missing file is "
            "measured and written first.",
            "Device",
        ),
    ] = None
    max_parameters: Annotated[
        int | None, Option("Short for --limit 'parameters<=N'.", "Budget")
    ] = None
    max_macs: Annotated[int | None, Option("Short for --limit 'macs<=N'.", "Budget")] = None
    between: Between = None
    max_error: Annotated[
        float | None,
        Option(
            "Largest validation error that is of use, e.g. 0.3 (default: half of a constant "
            "answer's).",
            "Budget",
        ),
    ] = None
    preset: Annotated[
        Preset, Option("modern, or seed: the seed report's own experiment.", "Search")
    ] = "modern"
    population: Annotated[int, Option("Population size, at least 4.", "Search")] = 20
    weights: Annotated[
        tuple[float, ...] | None,
        Option(
            "Weights of the objectives, e.g. 0.7,0.3 (default: Pareto).",
            "Search",
            parse=_weights,
        ),
    ] = None
    recipe: Annotated[
        str | None,
        Option("fast, final, seed-search or seed-final (default: the preset's).", "Search"),
    ] = None
    evolve_head: Annotated[bool, Option("Seed space: evolve the FC units too.", "Search")] = False
    seed: Annotated[int, Option("Seed of the search and of all trainings.", "Search")] = 0
    halving: Annotated[
        bool | None,
        Option(
            "Stop networks early that rank in the worse half at the same epoch "
            "(modern: on, seed: off).",
            "Search",
        ),
    ] = None
    screening: Annotated[
        bool,
        Option(
            "Let a Gaussian process choose which child to train (modern: on, seed: off).", "Search"
        ),
    ] = True
    inheritance: Annotated[
        bool,
        Option(
            "Let a child start from its best parent's weights, kept among the artifacts.",
            "Search",
        ),
    ] = False
    warm_start: Annotated[
        tuple[str, ...],
        Option("First networks, e.g. resnet20,B16k3-MP-B32k3-GAP.", "Search", parse=_texts),
    ] = ()
    stem: Stem = None
    device: Annotated[str, Option("auto, cpu, cuda, cuda:1 or mps.", "Machine")] = "auto"
    artifacts: Annotated[
        Path,
        Option(
            "Folder of drawings, curves and checkpoints; share it between machines to resume "
            "each other's trials.",
            "Machine",
        ),
    ] = Path("optuna_de_artifacts")

    def __post_init__(self) -> None:
        for name in ("trials", "epochs", "batch_size", "max_parameters", "max_macs"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, value, "at least 1")
        if self.objectives[:1] == ("error",):
            object.__setattr__(self, "objectives", (self.metric, *self.objectives[1:]))
        if self.preset not in ("modern", "seed"):
            raise ValueError(f"There is no preset {self.preset!r}; choose modern or seed.")
        if self.weights is not None and len(self.weights) != len(self.objectives):
            raise ValueError(
                f"weights are {self.weights}, but must be {len(self.objectives)} numbers, of "
                f"{' and '.join(self.objectives)}."
            )
        if self.max_error is not None:
            require(0 < self.max_error <= 1, "max_error", self.max_error, "above 0, at most 1")
        self._check_preset()
        _ = self.prices
        devices = (self.device_command, self.latency_table)
        if not self.needs_latency and devices != (None, None):
            raise ValueError(
                "device_command and latency_table need latency among objectives or limits."
            )

    def _check_preset(self) -> None:
        """Refuse what a preset would not heed."""
        if self.evolve_head and not self.is_seed:
            raise ValueError("evolve_head belongs to the preset seed; the modern head is fixed.")
        if self.is_seed and self.population != 20:
            raise ValueError(
                f"population is {self.population}, but that of the preset seed is 20."
            )
        if self.is_seed and self.objectives != ("error", "parameters"):
            raise ValueError(
                f"objectives are {','.join(self.objectives)}, but those of the preset seed are "
                "error,parameters."
            )
        if self.is_seed and self.weights not in (None, (0.7, 0.3)):
            raise ValueError(f"weights are {self.weights}, but the preset seed's are (0.7, 0.3).")
        if self.is_seed and (self.between, self.max_error, self.stem) != (None, None, None):
            raise ValueError("between, max_error and stem belong to the preset modern.")

    @property
    def is_seed(self) -> bool:
        """Whether this is the report's own experiment."""
        return self.preset == "seed"

    @property
    def total(self) -> int:
        """Finished trials at which the study is done."""
        return self.trials or (100 if self.is_seed else 40)

    @property
    def name(self) -> str:
        """The study's name; by default the data set and the preset."""
        return self.study_name or f"{Path(self.source).resolve().name.lower()}-{self.preset}"

    @property
    def prices(self) -> tuple[Price, ...]:
        """The objectives beside the error.

        Raises:
            ValueError: If an objective is unknown or there twice, or the error is not the first.
        """
        first, *others = self.objectives or ("",)
        if first != get_metric(self.metric).name or not others or len({*others}) < len(others):
            raise ValueError(
                f"objectives are {','.join(self.objectives)}, but must be {self.metric} (by "
                f"--metric) and one or more different prices of {', '.join(PRICES)}."
            )
        return tuple(map(get_price, others))

    @property
    def needs_latency(self) -> bool:
        """Whether the latency is an objective or limited."""
        return LATENCY in [*self.prices, *(limit.price for limit in self.limits)]

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits on prices, those of ``max_parameters`` and ``max_macs`` among them.

        Raises:
            ValueError: If a limit cannot be read, or a price has two.
        """
        short = {"parameters": self.max_parameters, "macs": self.max_macs}
        limits = [parse_limit(text, list(PRICES.values())) for text in self.limit]
        limits += [Limit(PRICES[name], most) for name, most in short.items() if most is not None]
        names = [limit.price.name for limit in limits]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} has more than one limit; give one.")
        return tuple(limits)
