"""Report of a study as a file: one HTML page that needs no network, or Markdown. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import optuna

from optuna_de import _compat
from optuna_de._files import write_text

Format = Literal["html", "md"]


def write_report(
    study: optuna.Study,
    path: str | Path,
    *,
    fmt: Format = "html",
    storage: str | None = None,
    refresh: float | None = None,
) -> Path:
    """Write the report of a study to a file; an existing file is replaced in one step.

    Args:
        study: Any study; networks are drawn if its trials record an ``architecture``.
        path: The file.
        fmt: ``"html"``: one page that needs no network, with all plots; ``"md"``: the tables.
        storage: URL for the commands of the page, shown without its password.
        refresh: Seconds after which the page reloads itself; ``None`` for never.

    Returns:
        The file.

    Raises:
        ValueError: For another format, or if the file's folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir() or path.is_dir():
        raise ValueError(
            f"The report cannot be written to {str(path)!r}; name a file in a folder."
        )
    text = render_report(study, fmt=fmt, storage=storage, refresh=refresh)
    write_text(path, text.encode("utf-8", "replace").decode())
    return path


def render_report(
    study: optuna.Study,
    *,
    fmt: Format = "html",
    storage: str | None = None,
    refresh: float | None = None,
) -> str:
    """Return the report of a study as text, see :func:`write_report`."""
    if fmt not in ("html", "md"):
        raise ValueError(f"The format of a report is 'html' or 'md', not {fmt!r}.")
    from optuna_de.cnn.report.page import html_page, markdown_page  # plotly, for reports only

    still = _snapshot(study)
    return markdown_page(still, storage) if fmt == "md" else html_page(still, storage, refresh)


def _snapshot(study: optuna.Study) -> optuna.Study:
    """Return a copy in memory, so that all parts of a report see the same trials."""
    memory = optuna.storages.InMemoryStorage()
    storage, _ = _compat.study_key(study)
    optuna.copy_study(from_study_name=study.study_name, from_storage=storage, to_storage=memory)
    return optuna.load_study(study_name=study.study_name, storage=memory)
