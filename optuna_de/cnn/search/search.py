"""A whole search: data, space, sampler, objective and study from one frozen description."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna

from optuna_de._attributes import REFERENCE_KEY
from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.genomes import parse, render, repair
from optuna_de.cnn.architecture.initial import MODERN_SAMPLERS
from optuna_de.cnn.architecture.prices import (
    LATENCY,
    PARAMETERS,
    LatencyTable,
    Limit,
    MeasurementError,
    Price,
)
from optuna_de.cnn.architecture.region import (
    SPAN,
    Region,
    default_region,
    read_region,
)
from optuna_de.cnn.architecture.space import MODERN_UNITS, NEWEST, CNNSpace
from optuna_de.cnn.architecture.zoo import get_architecture
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.export.latency import LatencyMeter
from optuna_de.cnn.recipes import Recipe, fit_recipe, get_recipe
from optuna_de.cnn.search.fidelity import FACTOR, Ladder, ladder_text
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.search.options import SearchOptions
from optuna_de.cnn.study.setup import SETUP_KEY, check_setup, enqueue_once, record_source, setup_of
from optuna_de.cnn.training.device import pick_device
from optuna_de.halving import Halving
from optuna_de.sampler.sampler import DESampler
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.schemes import get_scheme
from optuna_de.storage.url import redact

_logger = logging.getLogger(__name__)
TELLING_STEPS = 100
"""Steps an epoch from which one epoch tells a dead network from a slow one."""
Known = tuple[tuple[str, str], ...]
"""Networks that somebody knows: a name and a text of each."""
_FIRST = "first networks"


def _version_text(version: int) -> str:
    return f"version {version}"


@dataclass(frozen=True)
class Search(SearchOptions, DataChoice):
    """The description of a search: its options, and what follows from them.

    ``artifacts`` is the folder of trial files and, unless ``checkpoints`` names another, of
    checkpoints. ``ladder`` trains by rungs (:mod:`optuna_de.cnn.search.fidelity`), and
    ``compute`` ends the search after that many seconds of all workers together. ``known`` are
    names and texts of networks to begin with; their trials bear the name. Machines that share the
    folder resume each other's trials; otherwise the trial of a dead machine starts again.

    Example:
        >>> search = Search(data="digits", storage="sqlite:///digits.db", trials=20)
        >>> search.name, search.total
        ('digits-modern', 20)
    """

    checkpoints: Path | None = None
    ladder: Ladder = ()
    compute: float | None = None
    known: Known = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.needs_latency:
            _ = self._meter  # which checks the device command

    @cached_property
    def image_data(self) -> ImageData:
        """The training and validation images."""
        return self.load()

    @cached_property
    def space(self) -> CNNSpace:
        """The networks for the data's image shape and classes."""
        shape, classes = self.image_data.image_shape, len(self.image_data.classes)
        stem = parse(self.stem) if self.stem else ()
        whole = CNNSpace(shape, classes, stem=stem, version=self._version)
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

    @property
    def _version(self) -> int:
        """Version of the initial distribution: the recorded one, or else the newest."""
        if self.recorded is None:
            return NEWEST
        text = str(self.recorded.get(_FIRST))
        return next((v for v in MODERN_SAMPLERS if text == _version_text(v)), min(MODERN_SAMPLERS))

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
        if not self.needs_latency:
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
        for name, text in self.known:
            enqueue_once(study, [self._fitted(text)], {"known": name})
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
        first = {} if self.is_seed else {_FIRST: _version_text(self.space.version)}
        return {**region, "weights": weights, **known, **first, **self._device}

    def _fitted(self, text: str) -> dict[str, Any]:
        """Spell a known network in this space, pools dropped that the images do not allow."""
        genome = repair(get_architecture(text), self.image_data.image_shape)
        try:
            return self.space.encode(genome)
        except ValueError as error:
            raise ValueError(f"{text!r} is not in the {self.preset} space: {error}") from None
