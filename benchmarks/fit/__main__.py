"""Write the page of this folder: ``python -m benchmarks.fit``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.fit import arms, few_images, first_networks

SECTIONS: page.Sections = {
    "arms": ("Fits by other samplers at equal cost", arms.tables),
    "first_networks": ("First networks of 10,000 to 500,000 parameters", first_networks.table),
    "few_images": ("A fit of ten minutes on 600 images of 64x64", few_images.table),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS)
