"""Examples run: the notebook is executed as Jupyter does."""

import json
from pathlib import Path
from typing import Any

import pytest

import optuna_de
from optuna_de.visualization import generations

EXAMPLES = Path(optuna_de.__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what the notebook's cells show, by MIME type, cell by cell."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed.")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(EXAMPLES / "search_digits.ipynb", as_version=4)
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("IPYTHONDIR", str(folder))
        nbclient.NotebookClient(
            notebook, timeout=300, resources={"metadata": {"path": str(folder)}}
        ).execute()
    assert not [f for f in folder.iterdir() if f.suffix], "nothing is written beside it"
    return [_shown(cell) for cell in notebook.cells if cell.cell_type == "code"]


def _shown(cell: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for output in cell.outputs:
        shown |= output.get("data", {})  # a stream has none: imports may warn of widgets
    return shown


def test_spaces_networks_and_fronts_show_themselves(outputs: list[dict[str, Any]]) -> None:
    pages = [shown["text/html"] for shown in outputs if "text/html" in shown]
    assert any("finished=12, failed=0" in shown.get("text/plain", "") for shown in outputs)
    space, network, front = (p for p in pages if "plotly" not in p)
    assert "norm_conv" in space
    assert network.count("<svg") == 1
    assert "Conv2d" in network
    assert front.count("<svg") >= 2


def test_plots_are_shown(outputs: list[dict[str, Any]]) -> None:
    kind = "application/vnd.plotly.v1+json"
    layouts = [shown[kind]["layout"] for shown in outputs if kind in shown]
    titles = [layout["title"]["text"] for layout in layouts if "title" in layout]
    assert titles == [generations.TITLE, "Front over time", "Learning curves", "Lineage"]
    assert len(layouts) == 5, "and a comparison"


def test_the_notebook_is_committed_without_outputs() -> None:
    cells = json.loads((EXAMPLES / "search_digits.ipynb").read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)
