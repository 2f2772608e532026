"""Contact sheet of a set: images and counts of each class, and sizes."""

from __future__ import annotations

import base64
import html
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from optuna_de._colours import CLASSES
from optuna_de._files import write_bytes, write_text
from optuna_de._text import printable
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import DividedSource
from optuna_de.cnn.data.store.mapped_images import take

_TILE, _GAP, _NAME, _BAR, _TEXT = 64, 6, 200, 160, 15  # pixels
_SHOWN, _CLASSES, _SIZES = 8, 40, 12  # images a class, classes, sizes
_INK, _PAPER = "#222222", "#ffffff"


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Class counts of a contact sheet by split, int64 (classes,); None where unknown."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64] | None


def class_counts(data: ImageData, divided: DividedSource) -> ClassCounts:
    """Return the class counts of a contact sheet, without decoding the test split."""
    n, source = len(data.classes), divided.source
    test = source.train.labels[divided.test] if source.test is None else source.test_labels
    unknown = source.test is not None and len(test) == 0
    return ClassCounts(
        train=np.bincount(data.train.labels, minlength=n),
        validation=np.bincount(data.validation.labels, minlength=n),
        test=None if unknown else np.bincount(test, minlength=n),
    )


def contact_sheet(data: ImageData, divided: DividedSource) -> Image.Image:
    """Draw a contact sheet: up to eight training images of each of the first 40 classes.

    Beside each class is the number of its images, below all are the commonest sizes.
    """
    counts = np.bincount(data.train.labels, minlength=len(data.classes))
    rows = min(len(data.classes), _CLASSES)
    every = Counter(f"{w} x {h}" for h, w in divided.source.sizes.tolist())
    sizes = every.most_common(_SIZES)
    left = _NAME + _SHOWN * (_TILE + _GAP) + _GAP
    height = rows * (_TILE + _GAP) + _GAP + (len(sizes) + 3) * (_TEXT + _GAP) + _GAP
    sheet = Image.new("RGB", (left + _BAR + 70, height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    for label in range(rows):
        top = _GAP + label * (_TILE + _GAP)
        _class_row(sheet, data, label, top)
        _write(draw, font, (_GAP, top + _TILE // 2 - 8), data.classes[label])
        _bar(draw, font, (left, top + _TILE // 2 - 8), counts[label], counts.max())
    top = rows * (_TILE + _GAP) + 2 * _GAP
    more = len(data.classes) - rows
    left_out = f"and {more} more classes; " if more else ""
    some = f", the commonest {_SIZES} of {len(every):,}" if len(every) > _SIZES else ""
    text = f"{left_out}training images above; sizes as found{some}:"
    _write(draw, font, (_GAP, top), text, 99)
    for i, (size, n) in enumerate(sizes):
        y = top + (i + 1) * (_TEXT + _GAP)
        _write(draw, font, (_GAP, y), size)
        _bar(draw, font, (_NAME, y), n, sizes[0][1])
    return sheet


def _class_row(sheet: Image.Image, data: ImageData, label: int, top: int) -> None:
    chosen = torch.nonzero(data.train.labels == label)[:_SHOWN, 0]
    for i, pixels in enumerate(take(data.train.images, chosen)):
        planes = pixels.permute(1, 2, 0).contiguous().numpy()
        tile = Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes[..., :3])
        scale = _TILE / max(tile.size)
        size = max(1, round(tile.width * scale)), max(1, round(tile.height * scale))
        way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
        sheet.paste(tile.resize(size, way), (_NAME + i * (_TILE + _GAP), top))


def _write(
    draw: ImageDraw.ImageDraw, font: object, place: tuple[int, int], text: str, most: int = 22
) -> None:
    shown = printable(text)
    cut = shown if len(shown) <= most else f"{shown[: most - 3]}..."
    draw.text(place, cut, fill=_INK, font=font)  # type: ignore[arg-type]


def _bar(
    draw: ImageDraw.ImageDraw, font: object, place: tuple[int, int], n: int, most: int
) -> None:
    x, y = place
    width = max(1, round(_BAR * int(n) / max(1, int(most))))
    draw.rectangle((x, y + 2, x + width, y + _TEXT), fill=CLASSES[0])
    _write(draw, font, (x + width + 4, y), f"{int(n):,}")


def write_contact_sheet(path: Path, sheet: Image.Image, summary: str) -> None:
    """Write a contact sheet: a PNG, or an HTML page with the summary for the suffix ``.html``.

    Raises:
        ValueError: If the suffix is another one.
        OSError: If it cannot be written.
    """
    content = BytesIO()
    sheet.save(content, "PNG")
    if path.suffix.lower() == ".png":
        write_bytes(path, content.getvalue())
    elif path.suffix.lower() in (".html", ".htm"):
        data = base64.b64encode(content.getvalue()).decode()
        page = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Contact sheet</title>'
            f'<body style="font-family: sans-serif; margin: 1em"><p>{html.escape(summary)}</p>'
            f'<img alt="A few images of each class, counts of classes and sizes" '
            f'src="data:image/png;base64,{data}"></body></html>\n'
        )
        write_text(path, page, errors="replace")
    else:
        raise ValueError(f"{path} must end in .png or .html.")
