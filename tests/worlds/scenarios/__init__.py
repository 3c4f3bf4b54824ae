"""The scenarios by name: each makes a world from a seed and a size (about so many directories)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worlds.scenarios.clocks import timezones
from worlds.scenarios.plain import clean, orphans, references
from worlds.scenarios.sweeps import blind_sweeps, ghosts, hopeless_twins, loss_twins, sweeps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worlds.world import World

SCENARIOS: Mapping[str, Callable[[int, int], World]] = {
    scenario.__name__: scenario
    for scenario in (
        clean,
        references,
        orphans,
        sweeps,
        blind_sweeps,
        ghosts,
        loss_twins,
        hopeless_twins,
        timezones,
    )
}
