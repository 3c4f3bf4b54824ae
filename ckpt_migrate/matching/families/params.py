"""Params: how likely a config is, given what a run logged, and which keys drift between the two."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckpt_migrate.matching.families.background import LARGEST_FREQUENCY
from ckpt_migrate.matching.families.compare import Comparison
from ckpt_migrate.matching.model.pair import LARGEST_BITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.matching.families.keys import Layout
    from ckpt_migrate.matching.families.values import Params
    from ckpt_migrate.matching.model.pair import World

FAITHFUL_DIFFERENCE = 3e-4
"""Chance that a param differs between a config and its own run, for a key that is logged as it is."""
DRIFTING_KEY = 0.05
"""Chance that a key is one that frameworks change between config and log (devices, workers, warm-up)."""
DRIFTING_DIFFERENCE = 0.5
"""Chance that a drifting key differs."""
NEAR_MISS = 0.05
"""Chance that a pair which is plain by its times alone is one of siblings: a single difference proves no drift."""
FAITHFUL_PRIOR_PAIRS = 100.0
"""How many observed pairs the figure FAITHFUL_DIFFERENCE is worth."""
UNKNOWN_DIFFERENCE = DRIFTING_KEY * DRIFTING_DIFFERENCE + (1 - DRIFTING_KEY) * FAITHFUL_DIFFERENCE
"""Chance that a key differs of which nothing has been observed."""
_UNKNOWN_AGREES_LOG2 = math.log2(1 - UNKNOWN_DIFFERENCE)
_UNKNOWN_DIFFERS_LOG2 = math.log2(UNKNOWN_DIFFERENCE) - _UNKNOWN_AGREES_LOG2
KIND = "(kind)"
"""Stands for the kind of a config, told by which keys it has, where chances are given by key."""


class Differences:
    """Per key, the chance that it differs in a true pair.

    Attributes:
        mildest: The most bits, mostly far below 0, that any key can say for a run from which it differs.
    """

    def __init__(self, chances: Mapping[str, float]) -> None:
        self._chances = chances
        self._agreeing = {key: math.log2(1 - chance) for key, chance in chances.items()}
        self._differing = {key: math.log2(chance) - self._agreeing[key] for key, chance in chances.items()}
        self._whole: dict[Layout, float] = {}
        self.mildest = max([_UNKNOWN_DIFFERS_LOG2, *self._differing.values()]) + math.log2(LARGEST_FREQUENCY)

    def log2(self, config: Params, comparison: Comparison) -> float:
        """Return log2 of the chance that just these keys of a config agree in a true pair, and just those differ."""
        whole = self.whole_log2(config)
        for key in comparison.absent:
            whole -= self._agree_log2(key)
        for key in comparison.differing:
            whole += self._differing.get(key, _UNKNOWN_DIFFERS_LOG2)
        if comparison.unlike:
            whole += math.log2(self._chances.get(KIND, UNKNOWN_DIFFERENCE))
        return whole

    def whole_log2(self, config: Params) -> float:
        """Return log2 of the chance that all keys of a config agree in a true pair."""
        whole = self._whole.get(config.layout)
        if whole is None:
            whole = self._whole[config.layout] = sum(map(self._agree_log2, config.layout.keys))
        return whole

    def surprise(self, config: Params, comparison: Comparison) -> float:
        """Return by how many bits this is less likely in a true pair than that all keys agree."""
        if comparison.is_throughout or not (comparison.differing or comparison.unlike):
            return 0.0
        return self.log2(config, Comparison(0, (), comparison.absent)) - self.log2(config, comparison)

    def _agree_log2(self, key: str) -> float:
        return self._agreeing.get(key, _UNKNOWN_AGREES_LOG2)


def param_bits(config: Params, comparison: Comparison, world: World, most: float) -> float:
    """Return log2 of P(config | the run's params) / share of runs that agree with the config throughout.

    Args:
        config: The checkpoint's params.
        comparison: With the run's.
        world: The shared facts.
        most: What `most_param_bits` says of the config: that share is the same for all runs.
    """
    if comparison.same and not (comparison.differing or comparison.absent or comparison.unlike):  # most are
        return max(-LARGEST_BITS, world.differences.whole_log2(config) + most)
    if not comparison.compared or not len(world.index):
        return 0.0
    return max(-LARGEST_BITS, config_log2(config, comparison, world) + most)


def most_param_bits(config: Params, world: World) -> float:
    """Return the most that params can say for any run: that all agree."""
    return -math.log2(max(world.index.count_agreeing(config), 1) / (len(world.index) + 1)) if config.canonicals else 0.0


def config_log2(config: Params, comparison: Comparison, world: World) -> float:
    """Return log2 P(config | the run's params): each key agrees, or differs and then has its background frequency.

    So does the kind, told by which keys a config has.
    """
    bits = world.differences.log2(config, comparison)
    places, canonicals = config.layout.places, config.canonicals
    for key in comparison.differing:
        bits += world.index.log2_frequency(key, canonicals[places[key]])
    if comparison.unlike:
        bits += math.log2(min(world.index.share_alike(config), LARGEST_FREQUENCY))
    return bits


def key_difference(agreed: int, differed: int, chosen: int = 0) -> tuple[float, bool]:
    """Return the chance that a key differs in a true pair, and whether it says nothing (it drifts).

    A key is either faithful (differs with chance FAITHFUL_DIFFERENCE) or drifting (with chance one half); the
    posterior follows from the pairs observed, some of which are near misses.

    Args:
        agreed: Pairs that agree in it, and are plain without it.
        differed: Pairs that differ in it.
        chosen: Pairs that are plain only because they agree in it; they say how often a faithful key differs.

    >>> key_difference(20, 0)[1], key_difference(5, 9)[1], key_difference(0, 1)[1], key_difference(0, 2)[1]
    (False, True, False, True)
    """
    drifting = math.log(DRIFTING_KEY) + (agreed + differed) * math.log(DRIFTING_DIFFERENCE)
    faithful = math.log(1 - DRIFTING_KEY) + agreed * math.log1p(-FAITHFUL_DIFFERENCE) + differed * math.log(NEAR_MISS)
    share = 1 / (1 + math.exp(max(-700.0, min(700.0, faithful - drifting))))
    total = agreed + differed + chosen
    rate = (differed + FAITHFUL_DIFFERENCE * FAITHFUL_PRIOR_PAIRS) / (total + FAITHFUL_PRIOR_PAIRS)
    if chosen and share <= DRIFTING_DIFFERENCE:
        return min(rate, DRIFTING_DIFFERENCE), False
    chance = share * DRIFTING_DIFFERENCE + (1 - share) * rate
    return min(chance, DRIFTING_DIFFERENCE), share > DRIFTING_DIFFERENCE
