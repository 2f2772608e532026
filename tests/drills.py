"""Marks of tests that do not run everywhere: drills, and tests of POSIX's signals.

A mark is applied when a file is imported, so a list of signals for ``parametrize`` takes those
that Windows lacks from here, too.
"""

import os
import signal

import pytest

DRILL = pytest.mark.skipif("DRILLS" not in os.environ, reason="a drill, runs with DRILLS=1")
"""Mark of a drill: the plain run makes the same promise once, the drills on each store."""
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
"""Mark of a test that sends signals, or of a file of them."""
LINUX = pytest.mark.skipif(not os.path.exists("/proc/self"), reason="reads /proc")
"""Mark of a test that reads /proc."""
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)
