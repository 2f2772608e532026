"""Links of the site that Sphinx has checked: a broken one is an error, an unreached host is told.

usage: python scripts/links.py build/links/output.json
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_UNREACHED = re.compile(
    "NameResolutionError|NewConnectionError|Max retries|[Tt]imed? ?out|refused"
)


def broken(links: Iterable[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the broken links with place and reason, and the hosts that could not be reached."""
    wrong, hosts = [], set()
    for link in links:
        if link["status"] == "timeout" or (
            link["status"] == "broken" and _UNREACHED.search(link["info"])
        ):
            hosts.add(urlsplit(link["uri"]).netloc)
        elif link["status"] == "broken":
            wrong.append(f"{link['filename']}:{link['lineno']}: {link['uri']}: {link['info']}")
    return wrong, sorted(hosts)


def main() -> None:
    """Print both, and exit with 1 if a link is broken."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    wrong, hosts = broken(map(json.loads, lines))
    if hosts:
        print(f"Not checked, as they could not be reached from here: {', '.join(hosts)}.")
    print(*wrong or ["None of the links that were checked is broken."], sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
