"""Fixtures of the executor's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from trees import Tree, make_tree

from ckpt_migrate.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Return the recipe that ships with the package."""
    return load_recipe()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return an empty root in a project folder."""
    return make_tree(tmp_path / "project")


@pytest.fixture
def small(tree: Tree) -> Tree:
    """Return three legacy directories, one of them with a README.md of its owner's."""
    tree.add(0)
    tree.add(1, files={"README.md": b"my notes\nwithout end", "model.pt": b"weights"})
    tree.add(2, files={"lightning_checkpoints/last.ckpt": b"x"})
    tree.settle()
    tree.refresh()
    return tree
