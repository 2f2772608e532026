"""Recipes: the settings of a training, by name and version. No torch.

:mod:`optuna_de.cnn.training.trainer` trains by a recipe.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from optuna_de.cnn.data.dataset import ImageData

UNMIRRORED = re.compile(r"(?<!fashion)(digits|mnist|svhn)")
"""Found in the lower-case name of a data set of characters, which must not be mirrored."""
Schedule = Literal["constant", "cosine", "one-cycle", "triangular"]
Precision = Literal["auto", "float32"]
Optimizer = Literal["sgd", "adamw", "muon"]
_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_END = _ONE_CYCLE_START / 1e4


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training, which a trial records by ``name`` and ``version``.

    Args:
        name: A key of :data:`RECIPES`, or another name for your own recipe.
        version: Raised whenever a number below changes.
        learning_rate: Peak learning rate at ``batch_size``, above 0.
        momentum: Momentum of SGD in [0, 1).
        nesterov: Nesterov's form of momentum.
        weight_decay: Coupled L2 penalty, 0 or more.
        decay_norm_and_bias: Whether the penalty also falls on biases and on the scales of norms.
        schedule: "constant"; "cosine" to 0, stepped once an epoch as the seed does; "one-cycle"
            (Smith and Topin 2018, in torch's form) and "triangular" (linear up, linear down to 0),
            stepped at every batch.
        warmup: Share of the steps in (0, 1) that a one-cycle or triangular schedule rises.
        label_smoothing: In [0, 1) (Szegedy et al. 2016).
        clip_norm: Largest norm of the gradient, or None. Candidates without norms need it if the
            learning rate is high.
        crop_padding: Zero padding in pixels on every side before a random crop; 0 is no crop.
        flip: Mirror each training image with probability 1/2.
        cutout: Side in pixels of the square that is erased (DeVries and Taylor 2017); 0 is none.
        ema: Decay in (0, 1) of the exponential moving average of the weights, which is then scored
            and kept; or None.
        initialisation: "torch" leaves the weights as they are; "he" initialises every convolution
            and hidden linear layer without a norm behind it (He et al. 2015). Deep candidates
            without norms stay at chance level otherwise.
        batch_size: Default batch size, and the one ``learning_rate`` belongs to.
        epochs: Default number of epochs.
        batch_exponent: The learning rate is multiplied by the batch size, relative to
            ``batch_size``, to this power: 0 keeps it, 1/2 is the square-root rule, 1 the linear
            rule (Goyal et al. 2017).
        precision: "auto" computes in bfloat16, by torch's autocast, if the device is faster so;
            "float32" never does. The weights are float32 either way.
        optimizer: "sgd"; "adamw" (Loshchilov and Hutter 2019), with ``momentum`` as its first
            beta and a decoupled ``weight_decay``; or "muon" (Jordan et al. 2024) for the
            convolutions without groups, SGD for all else.
        matrix_rate: Peak learning rate of Muon, above 0.
        matrix_momentum: Nesterov momentum of Muon, in [0, 1).
        norm_bias_rate: Factor on the learning rate of norms and biases, above 0.
        reflect: Whether the border of a crop mirrors the image; else it is 0.
        strong_from: Epochs from which a training augments as said. A shorter one crops from half
            the padding, erases and mixes nothing, see :func:`fit_recipe`.
        mixup: Parameter of the Beta distribution by which each image is blended with another of
            its batch (Zhang et al. 2018); 0 is none.
        cutmix: The same for a patch of another image (Yun et al. 2019); 0 is none. With both,
            each image gets one of them.
        stochastic_depth: Probability in [0, 1) that the last unit with a skip leaves its path out
            for an image, less for those before it (Huang et al. 2016); 0 is none.
        distillation: Weight in [0, 1] of the answers of a teacher, if there is one, against the
            labels (Hinton et al. 2015).
        temperature: Divides the logits of teacher and student there, above 0.
        class_weights: "balanced" weighs the loss of an image by the reciprocal of the size of its
            class, 1 in the mean (King and Zeng 2001, as scikit-learn has it); "none" does not.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> from dataclasses import replace
        >>> mine = replace(get_recipe("fast"), name="mine", mixup=0.2)
        >>> mine.name, mine.mixup, mine.optimizer
        ('mine', 0.2, 'muon')
    """

    name: str
    version: int
    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decay_norm_and_bias: bool = True
    schedule: Schedule = "constant"
    warmup: float = 0.3
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    crop_padding: int = 4
    flip: bool = True
    cutout: int = 0
    ema: float | None = None
    initialisation: Literal["torch", "he"] = "torch"
    batch_size: int = 64
    epochs: int = 10
    batch_exponent: float = 0.0
    precision: Precision = "auto"
    optimizer: Optimizer = "sgd"
    matrix_rate: float = 0.1
    matrix_momentum: float = 0.6
    norm_bias_rate: float = 1.0
    reflect: bool = False
    strong_from: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    stochastic_depth: float = 0.0
    distillation: float = 0.9
    temperature: float = 4.0
    class_weights: Literal["none", "balanced"] = "none"

    def __post_init__(self) -> None:
        for field, right, allowed in (
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
            ("momentum", 0 <= self.momentum < 1, "in [0, 1)"),
            ("nesterov", not self.nesterov or self.momentum > 0, "False without momentum"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "0 or more"),
            ("schedule", self.schedule in _RATES, f"one of {', '.join(_RATES)}"),
            ("warmup", 0 < self.warmup < 1, "in (0, 1)"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "in [0, 1)"),
            ("clip_norm", self.clip_norm is None or self.clip_norm > 0, "above 0 or None"),
            ("crop_padding", self.crop_padding >= 0, "0 or more"),
            ("cutout", self.cutout >= 0, "0 or more"),
            ("ema", self.ema is None or 0 < self.ema < 1, "in (0, 1) or None"),
            ("initialisation", self.initialisation in ("torch", "he"), "torch or he"),
            ("batch_size", self.batch_size >= 1, "1 or more"),
            ("precision", self.precision in ("auto", "float32"), "auto or float32"),
            ("epochs", self.epochs >= 1, "1 or more"),
            ("optimizer", self.optimizer in _OPTIMIZERS, f"one of {', '.join(_OPTIMIZERS)}"),
            ("matrix_rate", 0 < self.matrix_rate < math.inf, "above 0"),
            ("matrix_momentum", 0 <= self.matrix_momentum < 1, "in [0, 1)"),
            ("norm_bias_rate", 0 < self.norm_bias_rate < math.inf, "above 0"),
            ("strong_from", self.strong_from >= 0, "0 or more"),
            ("mixup", 0 <= self.mixup < math.inf, "0 or more"),
            ("cutmix", 0 <= self.cutmix < math.inf, "0 or more"),
            ("stochastic_depth", 0 <= self.stochastic_depth < 1, "in [0, 1)"),
            ("distillation", 0 <= self.distillation <= 1, "in [0, 1]"),
            ("temperature", 0 < self.temperature < math.inf, "above 0"),
            ("class_weights", self.class_weights in ("none", "balanced"), "none or balanced"),
        ):
            if not right:
                value = getattr(self, field)
                raise ValueError(
                    f"The recipe {self.name!r} has {field}={value!r}, but it must be {allowed}."
                )

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"

    def rate(self, step: int, *, steps: int, epochs: int, batch_size: int) -> float:
        """Return the learning rate of the ``step``-th step from 0, with ``steps`` an epoch."""
        scale = math.pow(batch_size / self.batch_size, self.batch_exponent)
        share = _RATES[self.schedule](step, steps, epochs, self.warmup)
        return self.learning_rate * scale * share

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with others of their batch."""
        return bool(self.mixup or self.cutmix)

    @property
    def moments(self) -> int:
        """Numbers that the optimizer keeps of a parameter, at most."""
        return 2 if self.optimizer == "adamw" else int(self.momentum > 0)

    def settings(self) -> dict[str, Any]:
        """Return the fields by name, as files hold them.

        Fields newer than 0.1.0 are left out at their default, so that what it wrote still agrees.
        """
        defaults = {f.name: f.default for f in fields(self) if f.name in _NEW}
        held = asdict(self)
        return {n: v for n, v in held.items() if n not in defaults or v != defaults[n]}


def _constant(step: int, steps: int, epochs: int, warmup: float) -> float:
    return 1.0


def _cosine(step: int, steps: int, epochs: int, warmup: float) -> float:
    """Loshchilov and Hutter (2017), equation 5, one cycle, stepped by epoch."""
    return (1 + math.cos(math.pi * (step // steps) / epochs)) / 2


def _one_cycle(step: int, steps: int, epochs: int, warmup: float) -> float:
    last = steps * epochs - 1
    top = warmup * (last + 1) - 1
    if step < top:
        return _anneal(_ONE_CYCLE_START, 1.0, step / top)
    return _anneal(1.0, _ONE_CYCLE_END, (step - top) / (last - top))


def _anneal(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def _triangular(step: int, steps: int, epochs: int, warmup: float) -> float:
    """Rise through the middle of every step, so that neither end is wasted on a rate of 0."""
    share = (step + 0.5) / (steps * epochs)
    return min(share / warmup, (1 - share) / (1 - warmup))


_RATES = {
    "constant": _constant,
    "cosine": _cosine,
    "one-cycle": _one_cycle,
    "triangular": _triangular,
}
_OPTIMIZERS = ("sgd", "adamw", "muon")
_NEW = (
    "class_weights",
    *("optimizer", "matrix_rate", "matrix_momentum", "norm_bias_rate"),
    *("reflect", "strong_from", "mixup", "cutmix"),
    *("stochastic_depth", "distillation", "temperature"),
)
_SEARCH = Recipe("seed-search", 1, learning_rate=0.01)
_FINAL = Recipe(
    "seed-final",
    1,
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="cosine",
    epochs=200,
)
_FAST = Recipe(
    "fast",
    1,
    learning_rate=0.08,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    decay_norm_and_bias=False,
    schedule="triangular",
    label_smoothing=0.1,
    clip_norm=2.0,
    initialisation="he",
    batch_exponent=0.5,
)
# The square of 8 pixels is that of the DAWNBench entries for CIFAR-10 (Page 2018), half of
# DeVries and Taylor's.
_LONG = replace(_FAST, name="final", version=2, epochs=30, cutout=8)
# Muon with rescaled weights, and more for norms and biases: after airbench94 (Jordan 2024). The
# rates are .12 and .1 at batches of 128, which are slower on a CPU and end no better.
_FAST_2 = replace(
    _FAST,
    version=2,
    learning_rate=0.085,
    optimizer="muon",
    matrix_rate=0.07,
    norm_bias_rate=8.0,
    crop_padding=2,
    reflect=True,
)
_LONG_3 = replace(
    _FAST_2, name="final", version=3, epochs=30, crop_padding=4, cutout=8, strong_from=20
)
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {recipe.name: recipe for recipe in (_SEARCH, _FINAL, _FAST_2, _LONG_3)}
)
"""Recipes by name: the seed's two, ``fast``, and ``final``, which is ``fast`` for more epochs."""
_VERSIONS = {str(recipe): recipe for recipe in (*RECIPES.values(), _FAST, _LONG)}


def get_recipe(name: str) -> Recipe:
    """Return the recipe of that name, or of name and version such as ``fast version 1``.

    Raises:
        ValueError: If there is none.

    Example:
        >>> get_recipe("fast").version, get_recipe("fast version 1").version
        (2, 1)
    """
    if name in RECIPES:
        return RECIPES[name]
    if name not in _VERSIONS:
        raise ValueError(
            f"There is no recipe {name!r}; choose from {', '.join(RECIPES)}, or an older one: "
            f"{', '.join(v for v, r in _VERSIONS.items() if r is not RECIPES[r.name])}."
        )
    return _VERSIONS[name]


def fit_recipe(recipe: Recipe, data: ImageData, epochs: int | None = None) -> Recipe:
    """Return a recipe with its augmentation adapted to the images and the length of a training.

    The crop's padding is at most an eighth of the smaller side (4 on 32x32), the side of the
    erased square at most a quarter, and characters are not mirrored. A training of fewer epochs
    than ``strong_from`` (None: the recipe's) augments less. Classes are weighed where the data
    say so.
    """
    if (recipe.epochs if epochs is None else epochs) < recipe.strong_from:
        weak = {"crop_padding": recipe.crop_padding // 2, "cutout": 0, "mixup": 0.0, "cutmix": 0.0}
        recipe = replace(recipe, **weak)  # type: ignore[arg-type]
    side = min(data.image_shape[1:])
    mirrored = recipe.flip and not UNMIRRORED.search(data.name.lower())
    return replace(
        recipe,
        crop_padding=min(recipe.crop_padding, side // 8),
        cutout=min(recipe.cutout, side // 4),
        flip=mirrored,
        class_weights="balanced" if data.weigh_classes else recipe.class_weights,
    )
