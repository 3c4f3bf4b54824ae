"""A real terminal for tests: tmux, with a shell in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

TMUX = shutil.which("tmux")
REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class Screen:
    """A terminal with a shell in it, in which `ckpt-migrate` is this program."""

    def __init__(self, folder: Path, shell: str = "bash --norc", **settings: str) -> None:
        self.folder = folder
        self.calls = 0
        self.socket = f"ckpt-migrate-{uuid.uuid4().hex}"  # a server that is just ending takes no session
        program = folder / "bin" / "ckpt-migrate"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ckpt_migrate "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        values = {
            "TERM": "xterm-256color", "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY),
            "PS1": "# ", "LC_ALL": "C.UTF-8", **settings,
        }  # fmt: skip
        given = " ".join(f"{name}='{value}'" for name, value in values.items())
        command = f"env -u NO_COLOR -u COLUMNS {given} {shell}"
        self.tmux("-f", "/dev/null", "new", "-d", "-s", "it", "-x", "200", "-y", "200", "-c", str(folder), command)

    def tmux(self, *arguments: str) -> str:
        """Tell tmux to do something; return what it prints."""
        done = subprocess.run(["tmux", "-u", "-L", self.socket, *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def read(self, *options: str) -> str:
        """Return what stands on the screen."""
        return self.tmux("capture-pane", "-t", "it", "-p", *options)

    def wait_for(self, pattern: str) -> str:
        """Return the screen, its colours as escapes, once this is on it."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            text = self.read("-e")
            if re.search(pattern, ESCAPE.sub("", text)):
                return text
            time.sleep(0.05)
        pytest.fail(f"{pattern!r} does not come:\n{text}")

    def type(self, *keys: str) -> None:
        """Press keys."""
        self.tmux("send-keys", "-t", "it", *keys)

    def call(self, *lines: str, width: int = 100) -> list[str]:
        """Run commands; return the lines on the screen, its colours as escapes."""
        self.tmux("resize-window", "-t", "it", "-x", str(width), "-y", "200")
        self.calls += 1
        (self.folder / "lines.sh").write_text("\n".join([*lines, f"echo '[ended {self.calls}]'"]), encoding="utf-8")
        self.type("clear; . ./lines.sh", "Enter")
        text = self.wait_for(rf"(?m)^\[ended {self.calls}\]")
        return text.partition("\n[ended")[0].split("\n")

    def whole_lines(self) -> list[str]:
        """Return the lines as they were written, those that the terminal itself has broken in one again."""
        return self.read("-J").partition("\n[ended")[0].split("\n")
