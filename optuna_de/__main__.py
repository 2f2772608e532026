"""Start the command line; say what is missing where the extra ``cnn`` is not installed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``optuna-de``."""
    try:
        from optuna_de.cli import run
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "optuna_de":
            raise
        sys.exit(f'Error: {error.name} is missing; install the package as "optuna-de[cnn]".')
    sys.exit(run())


if __name__ == "__main__":
    main()
