"""Running the command line as its users do."""

from __future__ import annotations

from commands import Ended

__all__ = ["Ended"]
