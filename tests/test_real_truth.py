"""Plans of real projects against what is known of their directories: nothing wrong, nothing made up."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from evaluation.real_truth import measure

ARCHIVE = Path(__file__).parents[2] / "shared" / "realdata" / "stores.tar.gz"
# Of Ultralytics all are found, of Hydra all but a sweep whose jobs each opened an empty run as well.
LEAST_FOUND = {"alexy208__Staff-Detection": 2, "fkubota__playground_hydra_mlflow": 44}
HIDDEN = "alexy208__Staff-Detection"


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two projects that have a truth."""
    if not ARCHIVE.exists():
        pytest.skip(f"the real projects are not here: {ARCHIVE}")
    folder = tmp_path_factory.mktemp("projects")
    with tarfile.open(ARCHIVE) as file:
        wanted = [one for one in file.getmembers() if not LEAST_FOUND.keys().isdisjoint(one.name.split("/"))]
        file.extractall(folder, members=wanted, filter="data")
    return folder


def test_no_pair_is_wrong_and_no_run_is_made_up(projects: Path) -> None:
    """What is not decided has the right run as its first candidate."""
    found = measure(str(projects), is_hidden=False)
    assert found.keys() == LEAST_FOUND.keys()
    for name, tally in found.items():
        assert (tally.wrong, tally.linked) == ([], [])
        assert tally.found >= LEAST_FOUND[name]
        assert tally.found + tally.first == tally.pairs


def test_without_what_names_directories_nothing_is_wrong(projects: Path) -> None:
    """Fewer are found, and no other run takes their place."""
    (found,) = measure(str(projects / "for_devs" / HIDDEN), is_hidden=True).values()
    assert (found.wrong, found.linked, found.pairs) == ([], [], 2)
