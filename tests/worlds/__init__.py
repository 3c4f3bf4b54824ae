"""Legacy worlds with known truth: generated from how training projects behave, not from how matching works."""

from __future__ import annotations

from worlds.scenarios import SCENARIOS
from worlds.world import World

__all__ = ["SCENARIOS", "World"]
