"""The scenarios by name: each makes a world from a seed and a size (about so many directories)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worlds.scenarios import again, clocks, directories, hands, plain, stores, sweeps
from worlds.scenarios.everything import everything

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worlds.world import World

SCENARIOS: Mapping[str, Callable[[int, int], World]] = {
    scenario.__name__: scenario
    for scenario in (
        plain.clean,
        plain.references,
        plain.orphans,
        sweeps.sweeps,
        sweeps.text_sweeps,
        sweeps.blind_sweeps,
        sweeps.ghosts,
        sweeps.late_logging,
        sweeps.loss_twins,
        sweeps.hopeless_twins,
        sweeps.ghost_twins,
        sweeps.reruns,
        clocks.timezones,
        clocks.daylight_saving,
        clocks.repeated_hour,
        clocks.rerun_hour,
        clocks.moved_to_utc,
        clocks.skewed_clocks,
        clocks.drifting_clocks,
        clocks.nightly_jobs,
        clocks.tiny,
        stores.formatting,
        stores.multi_experiment,
        stores.nested,
        stores.loops,
        stores.deleted,
        stores.already_current,
        directories.crashed,
        directories.resumed,
        directories.traps,
        directories.swapped,
        directories.copied_tags,
        directories.copied_tree,
        directories.junk,
        hands.mixed_swaps,
        again.reused,
        sweeps.kept_best,
        again.next_day,
        again.teammates,
        hands.zipped,
        stores.imported,
        again.two_machines,
        hands.renamed_by_hand,
        hands.edited_configs,
        hands.partly_copied,
        stores.best_tags,
        again.resumed_in_place,
        everything,
    )
}
