"""Drills: repetitions of a test that take too long for each run."""

import os

import pytest

DRILL = pytest.mark.skipif("DRILLS" not in os.environ, reason="a drill, runs with DRILLS=1")
"""Mark of a drill: the plain run makes the same promise once, the drills on each store."""
