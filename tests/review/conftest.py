"""Plans are reviewed on the command line, too."""

from __future__ import annotations

from cli.conftest import ckpt

__all__ = ["ckpt"]
