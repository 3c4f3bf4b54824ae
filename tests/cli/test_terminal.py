"""In a real terminal: tables fit at every width, nothing is coloured, and no name moves the cursor."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate import api
from ckpt_migrate.cli.rows import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from project import Project

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux, which is the terminal of this test, is not installed")
REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
SOCKET = f"ckpt-migrate-{os.getpid()}"


def tmux(*arguments: str) -> str:
    done = subprocess.run(["tmux", "-L", SOCKET, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def screen(project: Project) -> Iterator[Callable[..., list[str]]]:
    """Run commands in a terminal of some width; return what stands on it, its colours as escapes."""
    command = f"env PYTHONPATH={REPOSITORY} TERM=xterm-256color bash --norc"
    tmux("-f", "/dev/null", "new", "-d", "-s", "it", "-x", "200", "-y", "200", "-c", str(project.folder), command)

    def call(*lines: str, width: int = 100) -> list[str]:
        tmux("resize-window", "-t", "it", "-x", str(width), "-y", "200")
        script = project.folder / "lines.sh"
        program = f"{sys.executable} -m ckpt_migrate"
        script.write_text("\n".join([f"{program} {line}" for line in lines] + ["echo '[ended]'"]), encoding="utf-8")
        tmux("send-keys", "-t", "it", "clear; . ./lines.sh", "Enter")
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            text = tmux("capture-pane", "-t", "it", "-p", "-e")
            if "\n[ended]" in text:
                return text.partition("\n[ended]")[0].split("\n")[1:]
            time.sleep(0.05)
        pytest.fail(f"no end in sight:\n{text}")

    yield call
    tmux("kill-server")


def test_tables_fit_at_every_width_and_nothing_is_coloured(screen: Callable[..., list[str]], project: Project) -> None:
    hostile = project.root / "evil\x1b[31m\x1b[2J\u202ename"
    hostile.mkdir()
    (hostile / "last.ckpt").write_bytes(b"x")
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    own = project.training(4)
    for width in (60, 90, 200):
        lines = screen("show plan.yaml", "scan checkpoints", width=width)
        assert all(columns(line) <= width for line in lines)
        assert "\x1b" not in "".join(lines)
        text = "\n".join(lines)
        assert re.search(rf"(?m)^\?  unmatched +skip +(phase2/)?{own.uid[:8]}", text), text
        assert "no run starts near" in text
        assert len([line for line in lines if own.uid[:8] in line]) == 2  # once in each table: no line wraps
        assert "\\x1b[31m" in text
