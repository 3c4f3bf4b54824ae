"""In real shells: a tab completes commands, options, plans, logs, folders, checkpoints and runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate import api
from cli.screen import REPOSITORY, TMUX, Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from project import Project

SCRIPT = "ckpt-migrate completions"
START = {
    "bash": ("bash --norc", f'eval "$({SCRIPT} bash)"'),
    "zsh": ("zsh -f", f'autoload -Uz compinit; compinit -u -d dump; eval "$({SCRIPT} zsh)"'),
}


def cases(project: Project) -> Iterator[tuple[str, str]]:
    """Yield what is typed before the tab, and what stands there after it."""
    own = project.training(5)
    yield "rev", "review"
    yield "show pl", "show plan.yaml"
    yield f"show plan.yaml {own.uid[:6]}", f"show plan.yaml {own.legacy}"
    yield "apply plan.yaml --dr", "apply plan.yaml --dry-run"
    yield "rollback lat", "rollback latest"
    yield "scan check", "scan checkpoints/"
    yield f"find {own.run_id[:6]}", f"find {own.run_id}"
    yield f"find --root checkpoints/phase2 {own.uid[:6]}", f"find --root checkpoints/phase2 {own.legacy}"
    yield "plan x --timezone Europe/Berl", "plan x --timezone Europe/Berlin"


@pytest.fixture
def planned(project: Project) -> Project:
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    return project


@pytest.mark.skipif(TMUX is None, reason="tmux, which is the terminal of this test, is not installed")
@pytest.mark.parametrize("shell", START)
def test_a_tab_completes(planned: Project, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command, setup = START[shell]
    screen = Screen(planned.folder, command)
    try:
        screen.type(f"{setup}; echo '[ready]'", "Enter")
        screen.wait_for(r"(?m)^\[ready\]")
        for typed, expected in list(cases(planned))[
            :: 1 if shell == "bash" else 2
        ]:  # the code that answers is the same
            screen.type(f"ckpt-migrate {typed}", "Tab")
            screen.wait_for(rf"# ckpt-migrate {re.escape(expected)}\s*$")
            screen.type("C-u")
    finally:
        screen.tmux("kill-server")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(planned: Project) -> None:
    program = planned.folder / "bin" / "ckpt-migrate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ckpt_migrate "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    asked = list(cases(planned))[1::2]
    lines = [f"{SCRIPT} fish | source", *(f"complete -C 'ckpt-migrate {typed}'; echo --" for typed, _ in asked)]
    environment = {
        **os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY),
        "HOME": str(planned.folder),
    }  # fmt: skip
    done = subprocess.run(
        ["fish", "--no-config", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=True
    )
    offered = [part.split("\n") for part in done.stdout.split("--\n")]
    for (typed, expected), answers in zip(asked, offered, strict=False):
        assert expected.split()[-1] in {answer.partition("\t")[0] for answer in answers}, (typed, answers, done.stderr)
