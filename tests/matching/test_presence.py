"""How likely a directory's run is in the store: told by its neighbours where runs are missing together, else by all."""

from __future__ import annotations

import numpy as np
from worlds.trainings import seeded

from ckpt_migrate.matching.model.presence import told_by_neighbours


def test_a_store_begun_in_mid_project_tells_of_a_directory_by_its_neighbours() -> None:
    """Where the first hundred have no run and the others all have one, the share of all says nothing of either."""
    found = np.array([0.0] * 100 + [1.0] * 60)
    told = told_by_neighbours(found, 60 / 160)
    assert told[:90].max() < 0.2
    assert told[-50:].min() > 0.8


def test_runs_that_are_missing_here_and_there_leave_the_share_of_all() -> None:
    """Where every third is missing by chance, nothing is learned from those beside."""
    rng = seeded("every third")
    found = np.array([float(rng.random() < 2 / 3) for _ in range(300)])
    told = told_by_neighbours(found, found.mean())
    assert told.max() < 0.78
    assert told.min() > 0.5


def test_a_few_directories_prove_no_pattern() -> None:
    """Three and three beside each other may be chance: the first three are not given up."""
    told = told_by_neighbours(np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), 0.5)
    assert told.min() > 0.3
    assert told.max() < 0.7


def test_a_directory_tells_nothing_of_itself() -> None:
    """One that has its run, among others that have none, is told by them."""
    told = told_by_neighbours(np.array([0.0] * 20 + [1.0] + [0.0] * 20), 0.05)
    assert told[20] < 0.05
    assert not len(told_by_neighbours(np.array([]), 0.5))
