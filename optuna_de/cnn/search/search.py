"""A whole search: data, space, sampler, objective and study from one frozen description."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import optuna

from optuna_de._attributes import REFERENCE_KEY
from optuna_de._checks import require
from optuna_de._options import Option
from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.genomes import parse, render, repair
from optuna_de.cnn.architecture.prices import (
    LATENCY,
    PARAMETERS,
    PRICES,
    LatencyTable,
    Limit,
    MeasurementError,
    Price,
    get_price,
    parse_limit,
)
from optuna_de.cnn.architecture.region import (
    SPAN,
    Region,
    default_region,
    parse_sizes,
    read_region,
)
from optuna_de.cnn.architecture.space import MODERN_UNITS, CNNSpace
from optuna_de.cnn.architecture.zoo import get_architecture
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.export.latency import LatencyMeter
from optuna_de.cnn.metrics import get_metric
from optuna_de.cnn.recipes import Recipe, fit_recipe, get_recipe
from optuna_de.cnn.search.fidelity import FACTOR, Ladder, ladder_text
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.study.setup import SETUP_KEY, check_setup, enqueue_once, record_source, setup_of
from optuna_de.cnn.training.device import pick_device
from optuna_de.halving import Halving
from optuna_de.sampler.sampler import DESampler
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.schemes import get_scheme
from optuna_de.storage.url import redact

_logger = logging.getLogger(__name__)
Preset = Literal["modern", "seed"]
TELLING_STEPS = 100
"""Steps an epoch from which one epoch tells a dead network from a slow one."""
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
class Search(DataChoice):
    """The description of a search, see ``optuna-de search --help`` for each field.

    Numbers that are ``None`` come from the preset: ``seed`` is the report's own experiment (100
    trials: 20 and 8 times 10; 10 epochs, batches of 64), ``modern`` trains 40 networks.

    ``artifacts`` is the folder of trial files and, unless ``checkpoints`` names another, of
    checkpoints. ``ladder`` trains by rungs (:mod:`optuna_de.cnn.search.fidelity`), and
    ``compute`` ends the search after that many seconds of all workers together. Machines that
    share the folder resume each other's trials; otherwise the trial of a dead machine starts
    again.

    Example:
        >>> search = Search(data="digits", storage="sqlite:///digits.db", trials=20)
        >>> search.name, search.total
        ('digits-modern', 20)
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
    checkpoints: Path | None = None
    ladder: Ladder = ()
    compute: float | None = None

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
        names = [*self.objectives, *(limit.price.name for limit in self.limits)]
        _ = self.prices
        if LATENCY.name in names:
            _ = self._meter
        elif self.device_command is not None or self.latency_table is not None:
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

    @cached_property
    def image_data(self) -> ImageData:
        """The training and validation images."""
        return self.load()

    @cached_property
    def space(self) -> CNNSpace:
        """The networks for the data's image shape and classes."""
        shape, classes = self.image_data.image_shape, len(self.image_data.classes)
        whole = CNNSpace(shape, classes, stem=parse(self.stem) if self.stem else ())
        if self.is_seed:
            whole = CNNSpace.seed(shape, classes, evolve_head=self.evolve_head)
        prices = tuple(map(self._on_device, self.prices))
        limits = tuple(replace(i, price=self._on_device(i.price)) for i in self.limits)
        whole = replace(whole, priced=prices)
        if self.region is None:
            return replace(whole, limits=limits)
        low, high = self.region.min_parameters, self.region.max_parameters
        others = [limit for limit in limits if limit.price != PARAMETERS]
        return replace(whole, min_parameters=low, limits=(Limit(PARAMETERS, high), *others))

    @cached_property
    def recorded(self) -> Mapping[str, Any] | None:
        """What the study records of its setup; None before it begins."""
        study = self.existing()
        setup = None if study is None else study.user_attrs.get(SETUP_KEY)
        return setup if isinstance(setup, Mapping) else None

    def existing(self) -> optuna.Study | None:
        """Return the study if it has begun; a file that does not exist is not made."""
        file = get_scheme(self.storage).file(self.storage)
        if file is not None and not file.exists():
            return None
        try:
            return optuna.load_study(study_name=self.name, storage=self.open())
        except KeyError:
            return None

    @cached_property
    def region(self) -> Region | None:
        """Where to look: what the user gave, then what the study records, then by the images.

        None for the preset seed, and for a study that was begun before there were regions.
        """
        given = self.between is not None or self.max_error is not None
        if self.is_seed or (self.recorded and not given and "region" not in self.recorded):
            return None
        usual = self._usual_region()
        low, high = self.between or (usual.min_parameters, usual.max_parameters)
        most = next((limit.most for limit in self.limits if limit.price == PARAMETERS), None)
        if most is not None and most < high:
            high = int(most)
            low = low if self.between else max(1, min(low, high // SPAN))
        error = usual.max_error if self.max_error is None else self.max_error
        return Region(low, high, error)

    def _usual_region(self) -> Region:
        """Return the recorded region, or else that of the images and the first networks."""
        known = read_region((self.recorded or {}).get("region"))
        if known is not None:
            return known
        data = self.image_data
        usual = default_region(
            data.image_shape, len(data.classes), len(data.train.labels), data.constant_error
        )
        sizes = [self._size(text) for text in self.warm_start]
        low = min([usual.min_parameters, *sizes])
        return replace(
            usual, min_parameters=low, max_parameters=max([usual.max_parameters, *sizes])
        )

    def _size(self, text: str) -> int:
        data = self.image_data
        genome = repair(get_architecture(text), data.image_shape)
        return count_parameters(genome, data.image_shape, len(data.classes))

    def _on_device(self, price: Price) -> Price:
        """Return the latency as it is measured or predicted; any other price as it is."""
        if price.name != LATENCY.name:
            return price
        if self._table is not None:
            return self._table.price
        return replace(LATENCY, of=self._meter.measure)

    @property
    def _meter(self) -> LatencyMeter:
        return LatencyMeter(self.device_command, self.device_timeout)

    @cached_property
    def _table(self) -> LatencyTable | None:
        """The latency table, measured first where its file is missing."""
        if self.latency_table is None:
            return None
        if not self.latency_table.exists():
            _logger.warning("Measuring a latency table into %s first.", self.latency_table)
            side = min(self.image_data.image_shape[1:])
            try:
                self._meter.table(MODERN_UNITS, side).save(self.latency_table)
            except MeasurementError as error:
                raise ValueError(f"The latency table was not measured: {error}") from None
        return LatencyTable.load(self.latency_table)

    @property
    def _device(self) -> dict[str, str]:
        """What measures or predicts the latency, where it is an objective or limited."""
        if LATENCY not in [*self.prices, *(limit.price for limit in self.limits)]:
            return {}
        if self._table is None:
            return {"latency": f"measured by {self._meter.text}"}
        return {"latency": f"predicted by table {self._table.digest} of {self._table.source}"}

    def sampler(self) -> DESampler:
        """Return a new sampler."""
        if self.is_seed:
            return DESampler.seed_exact(self.space, seed=self.seed)
        return DESampler(
            population_size=self.population,
            weights=self.weights,
            space=self.space,
            screening=self.screening,
            reference=self._reference,
            seed=self.seed,
        )

    @property
    def _reference(self) -> tuple[float, ...] | None:
        """The reference point of region and limits; None if a price has none, or with weights."""
        most = {limit.price.name: limit.most for limit in self.space.limits}
        names = [price.name for price in self.prices]
        if self.region is None or self.weights is not None or not most.keys() >= {*names}:
            return None
        return self.region.max_error, *(float(most[name]) for name in names)

    def objective(self) -> CNNObjective:
        """Return the objective."""
        recipe = fit_recipe(self._recipe(), self.image_data, self.epochs)
        device = pick_device(self.device)
        epochs = self.epochs or recipe.epochs
        steps = len(self.image_data.train.labels) / (self.batch_size or recipe.batch_size)
        wanted = not self.is_seed if self.halving is None else self.halving
        return CNNObjective(
            self.image_data.to(device),
            self.space,
            recipe,
            epochs=epochs,
            batch_size=self.batch_size,
            device=device,
            seed=self.seed,
            halving=self._halving(epochs) if wanted else None,
            ladder=self.ladder,
            inheritance=self.inheritance,
            stop_dead=not self.is_seed and steps >= TELLING_STEPS,
            checkpoints=self.checkpoints or self.artifacts / "checkpoints",
            artifacts=self.artifacts,
        )

    def _recipe(self) -> Recipe:
        """Return the recipe, in the version that the study has recorded if it is stored."""
        newest = get_recipe(self.recipe or ("seed-search" if self.is_seed else "fast"))
        recorded = str((self.recorded or {}).get("recipe"))
        older = recorded.startswith(f"{newest.name} version ")
        return get_recipe(recorded) if older and self.recipe in (None, newest.name) else newest

    def _halving(self, epochs: int) -> Halving | None:
        """Return early stopping at the rungs of the ladder, else at epochs; None for one."""
        if len(self.ladder) > 1:
            return Halving(tuple(range(1, len(self.ladder))), reduction_factor=FACTOR)
        return Halving.within(epochs) if epochs > 1 and not self.ladder else None

    def open(self) -> optuna.storages.BaseStorage:
        """Open the storage."""
        return open_storage(self.storage)

    def study(self, objective: CNNObjective) -> optuna.Study:
        """Open or create the study, refuse another setup, and enqueue the warm start.

        Raises:
            ValueError: If the study has another setup, or cannot be one of ours.
        """
        networks, sampler = [self._fitted(text) for text in self.warm_start], self.sampler()
        try:
            study = optuna.create_study(
                storage=self.open(),
                study_name=self.name,
                sampler=sampler,
                directions=["minimize"] * len(self.objectives),
                load_if_exists=True,
            )
        except ValueError as error:
            raise ValueError(f"Study {self.name!r} cannot be used: {error}") from error
        space = f"{self.preset}, evolved head" if self.evolve_head else self.preset
        setup = {"space": space, **setup_of(objective), **self._meaning()}
        check_setup(study, setup, redact(self.storage))
        record_source(study, self.source_record())
        if self._reference is not None and REFERENCE_KEY not in study.user_attrs:
            study.set_user_attr(REFERENCE_KEY, list(self._reference))
        enqueue_once(study, networks)
        return study

    def _meaning(self) -> dict[str, Any]:
        """Return the settings that change what a study means, as it records them."""
        region = {} if self.region is None else {"region": self.region.text}
        weights = None if self.weights is None else list(self.weights)
        limits = [i for i in self.limits if i.price != PARAMETERS or self.region is None]
        known: dict[str, Any] = {"limits": ", ".join(map(str, limits)) or "none"}
        ladder = ladder_text(self.ladder) or None
        heirs = {"inheritance": "on" if self.inheritance else "off"}
        stem = {"stem": render(self.space.stem) or "none"}
        known |= {"ladder": ladder, **heirs, **stem}
        return {**region, "weights": weights, **known, **self._device}

    def _fitted(self, text: str) -> dict[str, Any]:
        """Spell a known network in this space, pools dropped that the images do not allow."""
        genome = repair(get_architecture(text), self.image_data.image_shape)
        try:
            return self.space.encode(genome)
        except ValueError as error:
            raise ValueError(f"{text!r} is not in the {self.preset} space: {error}") from None
