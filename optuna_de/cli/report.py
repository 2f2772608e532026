"""The commands that show a study: ``report`` and ``dashboard``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import optuna

from optuna_de._files import reason, warn_once
from optuna_de.cli.console import say
from optuna_de.cli.dashboard_server import serve
from optuna_de.cli.options import Opt, Storage
from optuna_de.storage.open_storage import existing, open_study
from optuna_de.storage.url import redact

_DEFAULT = "sqlite:///optuna_de.db"


def report(
    study_name: Annotated[
        str | None, Opt(help="Name of the study (default: the only one of the storage).")
    ] = None,
    storage: Storage = _DEFAULT,
    out: Annotated[Path | None, Opt(help="File (default: report.html or report.md).")] = None,
    fmt: Annotated[
        str, Opt("--format", help="html: one page with all plots; md: the tables.")
    ] = "html",
    watch: Annotated[
        float | None, Opt(min=1, help="Write the report again every N seconds until Ctrl-C.")
    ] = None,
    to_dashboard: Annotated[
        bool, Opt("--to-dashboard", help="Also store a few figures for optuna-dashboard.")
    ] = False,
) -> None:
    """Write a study's report: one page that needs no network."""
    from optuna_de.cnn.report.report import write_report  # plotly is loaded for this command only

    study = open_study(study_name, storage)
    path = out or Path(f"report.{fmt}")

    def write(refresh: float | None = None) -> None:
        write_report(
            study,
            path,
            fmt=fmt,  # type: ignore[arg-type]  # others are refused there
            storage=storage,
            refresh=refresh,
        )
        if to_dashboard:
            _store_figures(study)

    if watch is not None:
        say(f"Writing {path} every {watch:g} s until Ctrl-C; open it in a browser.")
        _repeat(study, write, watch)
    write()
    say(f"Wrote {path}, {path.stat().st_size / 1e6:.1f} MB.")


def _repeat(study: optuna.Study, write: Callable[[float], None], seconds: float) -> None:
    """Write whenever trials have come or changed, until Ctrl-C."""
    seen: object = None
    try:
        while True:
            now = [(t.number, t.state) for t in study.get_trials(deepcopy=False)]
            if now != seen:
                try:
                    write(seconds)
                    seen = now
                except OSError as error:
                    warn_once(f"The report cannot be written: {reason(error)}.")
            time.sleep(seconds)
    except KeyboardInterrupt:
        return


def _store_figures(study: optuna.Study) -> None:
    try:
        from optuna_de.visualization.optuna_dashboard import save_figures
    except ModuleNotFoundError as error:
        raise ValueError(_missing(error)) from None
    save_figures(study)


def _missing(error: ModuleNotFoundError) -> str:
    return f'{error.name} is missing; install the package as "optuna-de[dashboard]".'


def dashboard(
    storage: Storage = _DEFAULT,
    port: Annotated[
        int, Opt(min=0, max=65535, help="Port of 127.0.0.1, 0 for a free one.")
    ] = 8080,
    artifacts: Annotated[
        Path | None, Opt(help="Folder of the trials' files (default: optuna_de_artifacts).")
    ] = None,
) -> None:
    """Open optuna-dashboard on this machine, with the files of the trials."""
    if artifacts is not None and not artifacts.is_dir():
        raise ValueError(f"There is no folder {str(artifacts)!r} of artifacts.")
    folder = Path("optuna_de_artifacts") if artifacts is None else artifacts
    try:
        server = serve(existing(storage), port, folder if folder.is_dir() else None)
    except ModuleNotFoundError as error:
        raise ValueError(_missing(error)) from None
    with server:
        say(f"{redact(storage)} is shown on http://127.0.0.1:{server.server_port}/ until Ctrl-C.")
        say(EXPOSING)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


EXPOSING = (
    "Only this machine can open it. It has no password, and everyone who reaches it can change or "
    "delete every study; from another machine use an SSH tunnel."
)
