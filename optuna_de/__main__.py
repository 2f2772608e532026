"""Start the command line; say which extra is missing where one is not installed."""

from __future__ import annotations

import sys

from optuna_de._allocator import bound_caches, keep_memory
from optuna_de.cli.streams import finish, forgive

_ALL = 'install the package as "optuna-de[cnn]".'
_SHOW = 'install the package as "optuna-de[cli,plots]" to show studies, "optuna-de[cnn]" for all.'
_CURE = dict.fromkeys(("typer", "rich", "jinja2", "plotly"), _SHOW)


def main() -> None:
    """Run ``optuna-de``; memory settings come first, before anything large is allocated."""
    keep_memory()
    bound_caches()
    forgive()
    try:
        from optuna_de.cli.app import run

        sys.exit(finish(run()))
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        package = (error.name or "optuna_de").partition(".")[0]
        if package == "optuna_de":
            raise
        sys.exit(f"Error: {package} is missing; {_CURE.get(package, _ALL)}")


if __name__ == "__main__":
    main()
