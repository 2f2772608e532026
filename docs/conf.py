"""Sphinx: the pages of this folder as a site. ``scripts/docs`` builds it."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
tomllib: Any = __import__("tomllib" if sys.version_info >= (3, 11) else "tomli")
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"][
    "Repository"
]

project = "optuna_de"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"
html_title = "optuna_de"
html_show_copyright = False  # the licence is a file of the repository
myst_heading_anchors = 4
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_type_aliases = {
    name: name for name in ("Params", "Losses", "Prices", "Repair", "Genome", "ImageShape")
}
suppress_warnings = ["misc.highlighting_failure"]
linkcheck_ignore = [rf"{re.escape(REPOSITORY)}.*"]  # the owner's placeholder


def outside(app: object, name: str, source: list[str]) -> None:
    """Point links to files outside of this folder to the repository."""
    source[0] = re.sub(r"\]\(\.\./([^)]+)\)", rf"]({REPOSITORY}/blob/main/\1)", source[0])


def setup(app: Any) -> None:
    """Register the handler."""
    app.connect("source-read", outside)
