"""Space of a search: units, initial distribution, image shape and classes. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial, reduce

import numpy as np
import optuna
from optuna.distributions import BaseDistribution

from optuna_de._checks import require
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import Genome, render, repair, side_after, split_head
from optuna_de.cnn.architecture.initial import MODERN_SAMPLERS, sample_seed, widened
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.prices.limit import Limit
from optuna_de.cnn.architecture.prices.parameters import PARAMETERS
from optuna_de.cnn.architecture.prices.price import Price
from optuna_de.cnn.architecture.units import (
    FC,
    GAP,
    AvgPool,
    Conv,
    DownConv,
    MaxPool,
    NormConv,
    Parallel,
    Residual,
    Separable,
    Unit,
)
from optuna_de.evolution.genome import Value
from optuna_de.evolution.variation import draw
from optuna_de.search_space.distributions import Params, range_of
from optuna_de.search_space.sequence_space import Kind, SequenceSpace

MODERN_UNITS: tuple[type[Unit], ...] = (
    *(NormConv, DownConv, Residual, Separable, Parallel),
    *(MaxPool, AvgPool),
)
NEWEST = max(MODERN_SAMPLERS)
"""Version of the initial distribution of new studies."""
BodySampler = Callable[[np.random.Generator, ImageShape], Genome]


@dataclass(frozen=True)
class CNNSpace:
    """Space of convolutional networks for images of one shape, as Optuna parameters.

    ``CNNSpace()`` is the modern space: normalised, strided, residual, separable and parallel
    convolutions and pools before a global average. ``CNNSpace.seed()`` is the seed report's.

    Args:
        image_shape: ``(channels, height, width)`` of the images; sides of 2 at least.
        classes: Number of classes, at least 2.
        body: Units before the head; sequences of 2 to 16 ``units`` if ``None``.
        head: The head's units, the same for all; or a space of FC units that evolves as well; if
            empty, the seed's derived head.
        sample: ``sample(rng, image_shape) -> genome``: initial distribution of bodies.
        units: Kinds of units, if ``body`` is ``None``; the first is always a :class:`NormConv`.
            ``(*MODERN_UNITS, Inverted)`` adds a kind to the default ones.
        min_parameters: Fewest trainable parameters of a network, at least 1; with a limit on
            parameters the first networks are spread evenly over the logarithms of sizes between.
            ``None``: no limit.
        priced: Prices that a search minimises beside the error: objectives 1, 2, ... of its study.
            Those that are known before the training are exact in screening.
        limits: Most that a network may cost. A child over one of a known price is drawn again.
        stem: Units before the body, the same for all: activations and norms (``SILU``, ``LN``), a
            whitening (``WH``) or patches (``E32``).
        version: Version of the initial distribution where ``sample`` is ``None``: 2, or 1 for
            studies that began with it, whose pools do not follow from the images' side.

    Raises:
        ValueError: If the image shape, the number of classes, the units, the stem or the version
            are impossible, or a price is there twice.

    Example:
        >>> from optuna_de.cnn.architecture.prices import MACS, PARAMETERS, Limit
        >>> space = CNNSpace((1, 28, 28), priced=(MACS,), limits=(Limit(PARAMETERS, 50_000),))
    """

    image_shape: ImageShape = (3, 32, 32)
    classes: int = 10
    body: SequenceSpace | None = None
    head: Genome | SequenceSpace = (GAP(),)
    sample: BodySampler | None = None
    units: tuple[type[Unit], ...] = MODERN_UNITS
    min_parameters: int | None = None
    priced: tuple[Price, ...] = (PARAMETERS,)
    limits: tuple[Limit, ...] = ()
    stem: Genome = ()
    version: int = NEWEST

    def __post_init__(self) -> None:
        if len(self.image_shape) != 3 or self.image_shape[0] < 1 or min(self.image_shape[1:]) < 2:
            raise ValueError(
                f"Images of shape {self.image_shape} cannot be classified; (channels, height, "
                "width) with sides of at least 2 is needed."
            )
        if self.classes < 2:
            raise ValueError(f"There are {self.classes} classes; at least 2 are needed.")
        _check_units(self.units)
        if any(u.is_head for u in self.stem) or repair(self.stem, self.image_shape) != self.stem:
            raise ValueError(
                f"The stem {render(self.stem)} cannot stand before a body for images of "
                f"{self.image_shape}."
            )
        low = self.min_parameters
        require(low is None or low >= 1, "min_parameters", low, "None or at least 1")
        versions = " or ".join(map(str, MODERN_SAMPLERS))
        require(self.version in MODERN_SAMPLERS, "version", self.version, versions)
        names = [price.name for price in self.priced]
        if len({*names, "error"}) <= len(names):
            raise ValueError(f"The prices {', '.join(names)} must differ, and none be the error.")

    @classmethod
    def seed(
        cls,
        image_shape: ImageShape = (3, 32, 32),
        classes: int = 10,
        *,
        evolve_head: bool = False,
    ) -> CNNSpace:
        """Return the seed report's space; ``evolve_head`` adds depth and widths of Part 2."""
        head = SequenceSpace(_kinds(FC), 1, 3, name="head")
        return cls(image_shape, classes, SEED_BODY, head if evolve_head else (), sample_seed)

    @property
    def layers(self) -> SequenceSpace:
        """The space of bodies."""
        return self.body or _body(self.units)

    def suggest(self, trial: optuna.trial.BaseTrial) -> Genome:
        """Suggest a network, without pools that shrink the image below 2 pixels."""
        body = self.layers.suggest(trial)
        head = self.head.suggest(trial) if isinstance(self.head, SequenceSpace) else self.head
        return (*self._fitted(body), *head)

    def _fitted(self, body: Genome) -> Genome:
        """Put the stem before a body, and drop units that shrink the image below 2 pixels."""
        return repair((*self.stem, *body), self.image_shape)

    def encode(self, genome: Genome) -> dict[str, Value]:
        """Spell a network as parameters; it inverts :meth:`decode`.

        Raises:
            ValueError: If the genome is not in this space.
        """
        body, head = split_head(genome)
        before, body = body[: len(self.stem)], body[len(self.stem) :]
        if before != self.stem:
            raise ValueError(f"The network does not begin with the stem {render(self.stem)}.")
        params = self.layers.encode(body)
        if isinstance(self.head, SequenceSpace):
            return params | self.head.encode(head)
        if head != self.head:
            raise ValueError(
                f"The head {render(head) or 'of the seed'} is not this space's "
                f"{render(self.head) or 'head of the seed'}."
            )
        return params

    def decode(self, params: Params) -> Genome:
        """Read a network from parameters, without pools that shrink the image below 2 pixels.

        Raises:
            ValueError: If the parameters do not spell a network whole.
        """
        if self._repaired and params == self._repaired[0][0]:
            return self._repaired[0][1]
        head = self.head.decode(params) if isinstance(self.head, SequenceSpace) else self.head
        return (*self._fitted(self.layers.decode(params)), *head)

    def repair(self, params: Params) -> dict[str, Value]:
        """Return the parameters that spell the same network without units that are dropped."""
        network = self.decode(params)
        spelt = self.encode(network)
        self._repaired[:1] = [(dict(spelt), network)]
        return spelt

    @cached_property
    def _repaired(self) -> list[tuple[Params, Genome]]:
        """The network that was repaired last, which is priced next; one entry or none."""
        return []

    def distributions(self, params: Params) -> dict[str, BaseDistribution]:
        """Return the distribution of each parameter, as ``optuna.create_trial`` needs."""
        parts = [self.layers, *([self.head] if isinstance(self.head, SequenceSpace) else [])]
        return {n: d for part in parts for n, d in part.distributions(params).items()}

    def initial(self, rng: np.random.Generator) -> dict[str, Value]:
        """Draw the parameters of a network from the initial distribution."""
        if self.sample is None:
            body = self._sample_modern(rng)
        else:
            body = self.sample(rng, self.image_shape)
        params = self.layers.encode(self._fitted(body)[len(self.stem) :])
        if isinstance(self.head, SequenceSpace):
            depth = int(rng.integers(self.head.min_length, self.head.max_length + 1))
            widths = range_of(FC.distributions["width"])
            params |= self.head.encode([FC(int(draw(widths, rng))) for _ in range(depth)])  # type: ignore[arg-type]
        return params

    def _sample_modern(self, rng: np.random.Generator) -> Genome:
        """Sample a body; with both limits on parameters its size is log-uniform between them."""
        shape = self.image_shape if self.version == 1 else self.body_shape
        body = MODERN_SAMPLERS[self.version](rng, shape, self.units)
        low = self.min_parameters
        high = next((limit.most for limit in self.limits if limit.price == PARAMETERS), None)
        if low is None or high is None or isinstance(self.head, SequenceSpace):
            return body
        head, size = self.head, low * (high / low) ** rng.random()
        return widened(
            self._fitted(body)[len(self.stem) :],
            size,
            lambda b: count_parameters((*self.stem, *b, *head), self.image_shape, self.classes),
        )

    @property
    def body_shape(self) -> ImageShape:
        """The images' ``(channels, height, width)``, with the sides that the stem leaves."""
        channels, *sides = self.image_shape
        height, width = (reduce(lambda n, unit: side_after(unit, n), self.stem, s) for s in sides)
        return channels, height, width

    def count_parameters(self, params: Params) -> int:
        """Return the trainable parameters of the network that parameters spell."""
        return count_parameters(self.decode(params), self.image_shape, self.classes)

    def count_macs(self, params: Params) -> int:
        """Return the multiply-accumulate operations of that network for one image."""
        return count_macs(self.decode(params), self.image_shape, self.classes)

    @property
    def prices(self) -> dict[int, Callable[[Params], float]]:
        """Objectives that are known before the training, by their index in the study, from 1."""
        return {
            index: partial(self._price, price)
            for index, price in enumerate(self.priced, 1)
            if price.known
        }

    def _price(self, price: Price, params: Params) -> float:
        return price.value(self.decode(params), self.image_shape, self.classes)

    def accept(self, params: Params) -> bool:
        """Return whether a network is within the limits of prices that are known.

        A child with a unit kind that no trial has had yet has no attributes and is accepted; the
        objective checks it after they are suggested.
        """
        known = [limit for limit in self.limits if limit.price.known]
        if not known and self.min_parameters is None:
            return True
        try:
            genome = self.decode(params)
        except ValueError:
            return True
        shape, classes = self.image_shape, self.classes
        if count_parameters(genome, shape, classes) < (self.min_parameters or 0):
            return False
        return not any(limit.excess(limit.price.value(genome, shape, classes)) for limit in known)


def _check_units(units: tuple[type[Unit], ...]) -> None:
    """Refuse kinds of units that make no body."""
    kinds = [unit.kind for unit in units]
    heads = [unit.kind for unit in units if unit.is_head]
    if heads or NormConv not in units or len(set(kinds)) < len(kinds):
        raise ValueError(
            f"The units {', '.join(kinds)} make no space; it needs norm_conv, for the stem, and "
            "kinds that differ and are none of the head."
        )


def _kinds(*units: type[Unit]) -> tuple[Kind, ...]:
    return tuple(Kind(unit, unit.distributions) for unit in units)


@lru_cache(maxsize=16)
def _body(units: tuple[type[Unit], ...]) -> SequenceSpace:
    return SequenceSpace(_kinds(*units), min_length=2, max_length=16, first=("norm_conv",))


SEED_BODY = SequenceSpace(
    _kinds(Conv, MaxPool, AvgPool), min_length=1, max_length=15, first=("conv",)
)
