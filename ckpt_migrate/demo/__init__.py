"""The demo: a legacy tree, a real MLflow store whose truth is known, and the whole story walked on both."""

from ckpt_migrate.demo.history import Kind
from ckpt_migrate.demo.walk import walk
from ckpt_migrate.demo.world import DemoCheckpoint, DemoWorld, build_demo

__all__ = ["DemoCheckpoint", "DemoWorld", "Kind", "build_demo", "walk"]
