"""Running the command line as its users do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt_migrate.cli import run

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it printed to standard output and to standard error."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """Run a command in this process; there is no terminal."""
    capsys.readouterr()
    code = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return Ended(code, captured.out, captured.err)
