"""Measurement of matching on worlds with known truth; the worlds are those of the tests."""

from __future__ import annotations

import os
import sys

_TESTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests")
if _TESTS not in sys.path:  # the generator is no part of the installed package
    sys.path.insert(0, _TESTS)
