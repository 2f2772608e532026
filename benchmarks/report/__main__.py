"""Write the page of this folder: ``python -m benchmarks.report``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.report import page_load

SECTIONS: page.Sections = {
    "report_page": ("The report in a browser", lambda head, rows: page_load.table(rows)),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS)
