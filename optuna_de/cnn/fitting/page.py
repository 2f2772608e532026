"""Page of a fit's models, ``index.html``: test error against size and MACs, cards and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from optuna_de._files import write_text
from optuna_de._text import printable
from optuna_de.cnn.evaluation.learning_curve import shared_script
from optuna_de.cnn.fitting.shipping import Shipped
from optuna_de.visualization import style

PAGE = "index.html"


def write_page(out: Path, name: str, headline: str, models: Sequence[Shipped]) -> Path:
    """Write the page of models and the one script that it needs; return its path.

    Args:
        out: Folder of the models.
        name: Name of the study.
        headline: What was done, in a sentence.
        models: What is shipped, at least one.

    Raises:
        OSError: If it cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("optuna_de.cnn.fitting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("index.html.jinja").render(
        name=printable(name),
        headline=headline,
        honesty=models[0].honesty,
        models=models,
        figure=front_figure(models).to_json().replace("</", "<\\/"),
    )
    shared_script(out, out)
    write_text(out / PAGE, page)
    return out / PAGE


def front_figure(models: Sequence[Shipped]) -> go.Figure:
    """Draw the test errors of models against their parameters and MACs; points are links."""
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.06)
    metric = models[0].metric
    ordered = sorted(models, key=lambda model: model.parameters)
    for column, title, sizes in (
        (1, "parameters", [model.parameters for model in ordered]),
        (2, "MACs", [model.macs for model in ordered]),
    ):
        figure.add_trace(
            go.Scatter(
                x=sizes,
                y=[model.test_error for model in ordered],
                mode="markers",
                marker={"size": 11, "color": style.class_colour(0)},
                customdata=[f"{model.folder.name}/model_card.md" for model in ordered],
                text=[style.label(model.architecture) for model in ordered],
                hovertemplate=f"%{{text}}<br>%{{x:,}} {title}, {metric} %{{y:.2%}}<extra></extra>",
                showlegend=False,
            ),
            row=1,
            col=column,
        )
        figure.update_xaxes(title=title, **style.log_axis(sizes), row=1, col=column)
    # A single point would be put in the middle of an axis that reaches below 0.
    most = 1.1 * max(model.test_error for model in ordered) or 0.01
    figure.update_yaxes(range=[0, most])
    figure.update_yaxes(title=f"test {metric}", tickformat=".1%", row=1, col=1)
    title = f"Test {metric} by size"
    return style.style(figure, title, subtitle="click a point for its card")
