"""Pages of results: the tables of a folder's result files, below the text of its README.

``python -m benchmarks.sampler`` writes ``benchmarks/sampler/README.md``; so does each folder. The
text above the marker line is kept, the rest is written again. ``--plots FOLDER`` draws curves
there with matplotlib; a drawing repeats a table, so none is committed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.results import Array, Row, markdown, read, results_of

MARK = "<!-- Below this line: written by python -m benchmarks.{folder} -->"
Table = Callable[[Row, Sequence[Row]], str]
Sections = Mapping[str, tuple[str, Table]]
"""Beginning of the names of result files -> (title, table of one file)."""


def main(script: str, sections: Sections, plotted: str = "") -> None:
    """Write the page of a folder.

    Args:
        script: ``__file__`` of a script in the folder.
        sections: Its sections, in their order.
        plotted: Section whose curves of regret ``--plots`` draws; empty for none.
    """
    parser = argparse.ArgumentParser(description=f"Write {Path(script).parent.name}/README.md.")
    parser.add_argument("--plots", type=Path, help="folder for drawings of regret")
    folder = parser.parse_args().plots
    if folder is not None and plotted:
        for path in files(script, plotted, sections):
            draw(regrets(read(path)[1]), folder / f"{path.stem}.png", path.stem)
    print(write_page(script, sections))


def write_page(script: str, sections: Sections) -> Path:
    """Write the tables below the marker line of the folder's README and return its path."""
    page = Path(script).with_name("README.md")
    mark = MARK.format(folder=page.parent.name)
    kept = page.read_text().split(mark)[0].rstrip() if page.exists() else f"# {page.parent.name}"
    written = filter(None, (section(script, kind, sections) for kind in sections))
    page.write_text("\n\n".join([kept, mark, *written]) + "\n")
    return page


def section(script: str, kind: str, sections: Sections) -> str:
    """Return one section of the page, empty if nothing was measured."""
    title, table = sections[kind]
    parts = []
    for path in files(script, kind, sections):
        head, rows = read(path)
        parts += [f"### {path.stem}", table(head, rows), describe(head)]
    return "\n\n".join([f"## {title}", *parts]) if parts else ""


def files(script: str, kind: str, sections: Sections) -> list[Path]:
    """Return the result files of a section: those that no longer name of another section fits."""
    paths = sorted(results_of(script).glob(f"{kind}*.jsonl"))
    closer = [other for other in sections if other.startswith(kind) and other != kind]
    return [path for path in paths if not path.name.startswith(tuple(closer))]


def describe(head: Row) -> str:
    """Return where a table comes from, as a sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    text = f"`{head['command']}`, n = {head['n']}, median [quartiles], {head['machine']}"
    return f"{text}; {packages}."


def regrets(rows: Sequence[Row]) -> dict[str, Array]:
    """Return sampler -> regret (seeds, points) at every tenth evaluation."""
    groups: dict[str, list[list[float]]] = {}
    for row in rows:
        groups.setdefault(row["sampler"], []).append(row["regret"])
    return {name: np.array(values) for name, values in groups.items()}


def regret_table(
    checkpoints: Sequence[int], summary: Callable[[Array, list[int]], list[str]]
) -> Table:
    """Return the table of regrets at some numbers of evaluations, one row a sampler."""

    def table(head: Row, rows: Sequence[Row]) -> str:
        points = [n // 10 for n in checkpoints if n <= head["budget"]]
        lines = [[name, *summary(regret, points)] for name, regret in regrets(rows).items()]
        return markdown(["sampler", *(f"{10 * n}" for n in points)], lines)

    return table


def draw(regrets: dict[str, Array], path: Path, title: str) -> None:
    """Draw the median regret with its quartiles against the evaluations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, regret in regrets.items():
        low, middle, high = np.quantile(regret, [0.25, 0.5, 0.75], axis=0)
        evaluations = 10 * np.arange(1, regret.shape[1] + 1)
        (line,) = axes.plot(evaluations, middle, label=name, linewidth=2 if name == "de" else 1)
        axes.fill_between(evaluations, low, high, color=line.get_color(), alpha=0.12)
    axes.set(yscale="log", xlabel="evaluations", ylabel="regret", title=title)
    axes.legend(ncols=2, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
