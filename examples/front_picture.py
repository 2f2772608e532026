"""Draw the README's picture from a study: ``front_picture.py STORAGE STUDY OUT.png``."""

import sys

import optuna

from optuna_de.visualization import plot_generations


def main(storage: str, study_name: str, out: str) -> None:
    """Plot error against parameters by generation; needs kaleido and a Chromium."""
    study = optuna.load_study(storage=storage, study_name=study_name)
    figure = plot_generations(study)
    figure.update_layout(
        title=f"{study_name}: {len(study.trials)} networks", paper_bgcolor="white"
    )
    figure.write_image(out, width=900, height=480, scale=1.2)


if __name__ == "__main__":
    main(*sys.argv[1:4])
