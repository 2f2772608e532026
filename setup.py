"""Build step that pyproject.toml cannot state: README's links as an index needs them, absolute."""

import re
import sys
from pathlib import Path

from setuptools import setup

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
PICTURES = (".png", ".svg")


def absolute(text: str, repository: str) -> str:
    """Return Markdown whose relative links and pictures point into a repository.

    Args:
        text: Markdown.
        repository: Its address on the web, without a slash at the end.
    """

    def point(found: re.Match[str]) -> str:
        folder = "raw" if found[1].partition("#")[0].endswith(PICTURES) else "blob"
        return f"]({repository}/{folder}/main/{found[1]})"

    return re.sub(r"\]\((?![a-z]+:|#)([^)\s]+)\)", point, text)


def readme() -> str:
    """Return README.md as an index shows it."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (HERE / "README.md").read_text(encoding="utf-8")
    return absolute(text, project["urls"]["Repository"])


if __name__ == "__main__":
    setup(long_description=readme(), long_description_content_type="text/markdown")
