"""Options of data: which images, how they are read, resized and divided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from optuna_de._checks import require
from optuna_de._options import Option
from optuna_de.cnn.data.reading.resizing import (
    ResizeMode,
    Resizing,
    Size,
    parse_background,
    parse_size,
    size_text,
)
from optuna_de.cnn.data.reading.tables import Columns
from optuna_de.cnn.metrics import METRICS, get_metric

MAX_BAD_IMAGES = 0.01
MEMORY_SHARE = 0.25
"""Share of the free memory of a processor up to which a set is kept whole, for all workers."""
_GROUP = "Data"  # of command-line options


@dataclass(frozen=True)
class DataOptions:
    """Options of :func:`optuna_de.cnn.data.loading.load_data`.

    Args:
        data: A name of :data:`optuna_de.cnn.data.sources.NAMES` (whatever the case), else a
            folder or file that a row of :data:`optuna_de.cnn.data.reading.layouts.LAYOUTS` knows.
            A ``Path`` is never a name. None is left to the study or to the default, digits.
        data_dir: Folder of torchvision's sets; None is "data" in the current folder.
        download: Whether to fetch one of torchvision's sets that is not there.
        image_size: Side, or height and width, to bring images to; None leaves images of one size,
            and brings others to their median smaller side, at most 64.
        resize: "crop", "pad" or "squash", see :class:`Resizing`.
        background: Colour under transparent pixels and around padded images.
        image_column: A table's column of images; None recognises it.
        label_column: A table's column of classes; None recognises it.
        subset: Number of images of both splits together, in the proportions of the classes; None
            takes all.
        validation_fraction: Part of the images to score on, above 0 and below 1; without effect
            where there is an official validation split.
        max_bad_images: Share of each split's images, in [0, 1], that may be unreadable and are
            skipped.
        split_seed: Seed of all splits, in [0, 2**32 - 1]; None is left to the study, or is 0.
        metric: What counts as the error, a name of :data:`optuna_de.cnn.metrics.METRICS`.
        weigh_classes: Whether the training loss weighs images so that classes count alike.
        cache_dir: Folder of decoded images; None is that of
            :func:`optuna_de.cnn.data.store.cache.cache_folder`.
        memory_share: Share of the free memory, in [0, 1], that the sets of all workers may take;
            larger ones are read from the cache batch by batch.

    Raises:
        ValueError: If a number or a word is out of its range.
    """

    data: Annotated[
        str | Path | None,
        Option(
            "Folder, table, .npz or .tar of images; or a name such as digits or CIFAR10 "
            "(default: digits; train, compare: the study's).",
            _GROUP,
            parse=str,
        ),
    ] = None
    data_dir: Annotated[Path | None, Option("Folder of torchvision's data sets.", _GROUP)] = None
    download: Annotated[bool, Option("Let torchvision download the data set.", _GROUP)] = False
    image_size: Annotated[
        int | Size | None,
        Option(
            "Side, or width x height such as 96x64, to which images are resized (default: their "
            "size; if it varies, the median smaller side, at most 64).",
            _GROUP,
            parse=parse_size,
        ),
    ] = None
    resize: Annotated[ResizeMode, Option("crop, pad or squash images to that size.", _GROUP)] = (
        "crop"
    )
    background: Annotated[
        str, Option("Colour under transparent pixels and around padded images.", _GROUP)
    ] = "white"
    image_column: Annotated[
        str | None, Option("Column of a table that holds the images.", _GROUP)
    ] = None
    label_column: Annotated[
        str | None, Option("Column of a table that holds the classes.", _GROUP)
    ] = None
    subset: Annotated[
        int | None, Option("Number of images to use, stratified by class (default: all).", _GROUP)
    ] = None
    validation_fraction: Annotated[float, Option("Share of images for validation.", _GROUP)] = 0.1
    max_bad_images: Annotated[
        float, Option("Share of unreadable images that are skipped.", _GROUP)
    ] = MAX_BAD_IMAGES
    split_seed: Annotated[
        int | None, Option("Seed of the splits (default: 0; train, compare: the study's).", _GROUP)
    ] = None
    metric: Annotated[
        str, Option(f"What counts as the error of a network: {', '.join(METRICS)}.", _GROUP)
    ] = "error"
    weigh_classes: Annotated[
        bool,
        Option("Weigh the images of rare classes more in training, all classes alike.", _GROUP),
    ] = False
    cache_dir: Annotated[
        Path | None, Option("Folder of decoded images (default: the user's cache).", _GROUP)
    ] = None
    memory_share: Annotated[
        float, Option("Share of free memory that images may take; others stay on disk.", _GROUP)
    ] = MEMORY_SHARE

    def check(self) -> None:
        """Check the options.

        Raises:
            ValueError: If one is out of its range.
        """
        fraction, seed = self.validation_fraction, self.seed_of_splits
        require(0 <= self.max_bad_images <= 1, "max_bad_images", self.max_bad_images, "in [0, 1]")
        require(0 <= self.memory_share <= 1, "memory_share", self.memory_share, "in [0, 1]")
        require(0 < fraction < 1, "validation_fraction", fraction, "above 0 and below 1")
        require(0 <= seed < 2**32, "split_seed", seed, f"in [0, {2**32 - 1}]")
        get_metric(self.metric)
        self.resizing  # noqa: B018 (it checks size, mode and colour)

    @property
    def source(self) -> str | Path:
        """The data set's name, folder or file; digits by default."""
        return "digits" if self.data is None else self.data

    @property
    def seed_of_splits(self) -> int:
        """Seed of the splits."""
        return self.split_seed or 0

    @property
    def resizing(self) -> Resizing:
        """How images are resized, where a size was chosen."""
        size = self.image_size
        whole = (size, size) if isinstance(size, int) else size
        return Resizing(whole, self.resize, parse_background(self.background))

    @property
    def columns(self) -> Columns:
        """The columns of a table that were chosen."""
        return Columns(self.image_column, self.label_column)

    def source_record(self) -> dict[str, Any]:
        """Return what finds and reads the same images again, as options that JSON can hold."""
        source, size = self.source, self.resizing.size
        path = Path(source).expanduser()
        values = {
            "data": str(path.resolve() if path.exists() else source),
            "data_dir": None if self.data_dir is None else str(self.data_dir.resolve()),
            "image_size": None if size is None else size_text(size),
            "resize": self.resize,
            "background": self.background,
            "image_column": self.image_column,
            "label_column": self.label_column,
            "max_bad_images": self.max_bad_images,
            "metric": self.metric,
            "weigh_classes": self.weigh_classes,
        }
        return {name: value for name, value in values.items() if value is not None}

    def with_recorded(self: Chosen, recorded: Mapping[str, Any]) -> Chosen:
        """Return these options, with recorded ones where the user left the defaults.

        A recorded path that is gone, and values that are no options any more, do not count.
        """
        changes: dict[str, Any] = {}
        for field in fields(DataOptions):
            value = recorded.get(field.name)
            if value is None or getattr(self, field.name) != field.default:
                continue
            if field.name == "data" and not Path(str(value)).exists():
                continue
            changes[field.name] = _READERS.get(field.name, lambda given: given)(value)
        return replace(self, **changes)


_READERS: Mapping[str, Callable[[Any], Any]] = {"image_size": parse_size, "data_dir": Path}
Chosen = TypeVar("Chosen", bound=DataOptions)
