"""Links: those that a rename leaves dangling are found, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.references.links import find_links
from ckpt_migrate.scan.walk import scan_roots

if TYPE_CHECKING:
    from project import Project


def found(project: Project) -> dict[str, str]:
    """Return path and directory of what is found, relative to the root."""
    scan = scan_roots([str(project.root)], load_recipe())
    directories = {checkpoint.path for checkpoint in scan.checkpoints if checkpoint.uid}
    links = find_links(scan.checkpoints, directories)
    return {path.removeprefix(f"{project.root}/"): to.removeprefix(f"{project.root}/") for path, _, to in links}


@pytest.fixture
def name(empty_project: Project) -> str:
    """A checkpoint directory, for links to lead to."""
    return empty_project.add(0).legacy


@pytest.mark.parametrize(
    "text",
    ["{name}", "./{name}/", "../phase2/{name}", "{root}/{name}", "../../checkpoints/./phase2/{name}", "gone/../{name}"],
)
def test_a_link_to_a_directory_is_found_however_it_is_written(empty_project: Project, name: str, text: str) -> None:
    empty_project.link("checkpoints/phase2/latest", text.format(name=name, root=empty_project.root))
    assert found(empty_project) == {"latest": name}


def test_a_link_over_another_link_is_found_and_so_is_the_other(empty_project: Project, name: str) -> None:
    empty_project.link("checkpoints/phase2/best", name)
    empty_project.link("checkpoints/phase2/latest", "best")
    empty_project.link("here", "checkpoints")
    empty_project.link("checkpoints/phase2/far", f"{empty_project.folder}/here/phase2/{name}")
    assert found(empty_project) == {"best": name, "latest": name, "far": name}


def test_a_link_in_a_directory_moves_along_unless_it_says_its_name(empty_project: Project, name: str) -> None:
    folder = f"checkpoints/phase2/{name}"
    empty_project.link(f"{folder}/newest.ckpt", "lightning_checkpoints/last.ckpt")
    empty_project.link(f"{folder}/lightning_checkpoints/config.json", "../config.json")
    empty_project.link(f"{folder}/absolute.ckpt", f"{empty_project.root}/{name}/config.json")
    empty_project.link(f"{folder}/around.ckpt", f"../{name}/config.json")
    assert found(empty_project) == {f"{name}/absolute.ckpt": name, f"{name}/around.ckpt": name}


def test_a_link_into_another_directory_is_found(empty_project: Project, name: str) -> None:
    """A resumed training may link the checkpoint that it began with."""
    other = empty_project.add(1).legacy
    empty_project.link(f"checkpoints/phase2/{other}/start.ckpt", f"../{name}/lightning_checkpoints/last.ckpt")
    assert found(empty_project) == {f"{other}/start.ckpt": name}


def test_links_that_lead_elsewhere_or_nowhere_are_not_found(empty_project: Project, name: str) -> None:
    folder = f"checkpoints/phase2/{name}"
    empty_project.link(f"{folder}/store", "../../../mlruns")
    empty_project.link(f"{folder}/gone", "../" + "0" * 32 + "_20260201_041227")
    empty_project.link(f"{folder}/loop", "loop")
    empty_project.link(f"{folder}/loop2", "loop2/x")
    assert found(empty_project) == {}
