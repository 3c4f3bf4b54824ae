"""In a real terminal: lines fit at every width, colours are for those who want them, and no name moves the cursor."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate import api
from ckpt_migrate.cli.terminal import columns
from cli.screen import ESCAPE, TMUX, Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from project import Project

pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux, which is the terminal of this test, is not installed")
COMMAND = re.compile(r" *ckpt-migrate ")


@pytest.fixture
def screen(project: Project) -> Iterator[Screen]:
    made = Screen(project.folder)
    yield made
    made.tmux("kill-server")


def test_lines_fit_at_every_width_and_names_are_no_commands(screen: Screen, project: Project) -> None:
    """No line is broken by the terminal in the middle of a word but a command to be copied, or a very long name."""
    hostile = project.root / "evil\x1b[31m\x1b[2J\u202ename"
    hostile.mkdir()
    (hostile / "last.ckpt").write_bytes(b"x")
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    own = project.training(4)
    calls = ("show plan.yaml", "scan checkpoints", f"show plan.yaml {own.uid}", "apply plan.yaml --dry-run")
    script = f"from ckpt_migrate.cli import run\nfor call in {calls!r}: run(call.split())\n"
    (project.folder / "calls.py").write_text(script, encoding="utf-8")
    for width in (60, 80, 120, 200):
        lines = [ESCAPE.sub("", line) for line in screen.call(f"{sys.executable} calls.py", width=width)]
        text = "\n".join(lines)
        assert "\x1b" not in text
        assert re.search(rf"(?m)^\?  unmatched +skip +(phase2/)?{own.uid[:8]}", text), text
        assert "to settle: no run fits" in text
        assert "\\x1b[2J" in text
        for line in screen.whole_lines():
            assert columns(line) <= width or COMMAND.match(line) or max(map(columns, line.split())) > width - 20, line


def test_colours_are_for_a_terminal_that_shows_them(screen: Screen, project: Project) -> None:
    """None in a pipe, with NO_COLOR, or on a terminal that is dumb or says nothing of itself."""
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    show = "ckpt-migrate show plan.yaml"
    lines = screen.call(show)
    coloured = [line for line in lines if "\x1b[" in line]
    assert any(line.startswith("\x1b[32m~  matched") for line in coloured), lines
    assert any(line.startswith("\x1b[33m?  unmatched") for line in coloured), lines
    without = screen.call(f"NO_COLOR=1 {show}", f"TERM=dumb {show}", f"env -u TERM {show}", f"{show} | cat", width=200)
    assert len([line for line in without if line.startswith("?  unmatched")]) == 4
    assert "\x1b" not in "".join(without)
    assert project.root.is_dir()


ASKED = r"[^\n]*\]\s*$"
"""A question at the end of the screen."""
LOOP = """
import sys, time
from ckpt_migrate.cli.output import bars, say
for number in bars().track(range(30), label="Reading"):
    time.sleep(0.05)
    if number == 20:
        say("Warning: one is passed over")
"""


def test_a_warning_beside_a_moving_bar_leaves_both_whole(screen: Screen) -> None:
    """And where nothing can move there is no bar at all."""
    (screen.folder / "loop.py").write_text(LOOP, encoding="utf-8")
    screen.type(f"clear; {sys.executable} loop.py; echo '[ended]'", "Enter")
    screen.wait_for("Reading: +[0-9]+%")
    screen.wait_for(r"(?m)^\[ended\]")
    lines = [line for line in screen.read().split("\n") if line]
    assert lines[:2] == ["Warning: one is passed over", "[ended]"]
    screen.type(f"clear; TERM=dumb {sys.executable} loop.py; echo '[ended]'", "Enter")
    screen.wait_for("Warning")
    assert "Reading" not in screen.read()


@pytest.mark.parametrize(
    ("settings", "width"),
    [({}, 100), ({"TERM": "dumb"}, 60), ({"TERM": "", "LC_ALL": "C"}, 60), ({"LC_ALL": "POSIX"}, 80)],
)
def test_a_review_goes_on_over_any_terminal(empty_project: Project, settings: dict[str, str], width: int) -> None:
    """Choose, undo, leave, look, quit, go on later; a byte that is no letter there is no answer, and no failure."""
    for number in range(3):
        empty_project.add(number)
    made = [empty_project.training(8), empty_project.training(8, "twin")]
    for training in made:
        empty_project.add_directory(training)
        empty_project.add_run(training, params={"lr": "0.1" if training.twin else "0.2"})
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    before = (empty_project.folder / "plan.yaml").read_bytes()
    screen = Screen(empty_project.folder, **settings)
    try:
        screen.tmux("resize-window", "-t", "it", "-x", str(width), "-y", "200")
        screen.type('clear; ckpt-migrate review plan.yaml; echo "[ended $?]"', "Enter")
        text = ESCAPE.sub("", screen.wait_for(rf"1 of 2\s[\s\S]*{ASKED}"))
        assert re.search(r"(?m)^    lr +- +0\.[12] +0\.[12]$", text), text
        assert "to settle: choose one of the candidates" in text
        screen.type("-H", "ff", "0d")
        screen.wait_for(rf"this list[\s\S]*{ASKED}")
        screen.type("1", "Enter")
        screen.wait_for(rf"Saved: run [0-9a-f]{{32}}[\s\S]*\n2 of 2\s[\s\S]*{ASKED}")
        assert (empty_project.folder / "plan.yaml").read_bytes() != before
        screen.type("s", "Enter")
        screen.wait_for(rf"That was the last one{ASKED}")
        screen.type("u", "Enter")
        screen.wait_for(rf"That was the last one[\s\S]*\n2 of 2\s[\s\S]*{ASKED}")
        screen.type("u", "Enter")
        screen.wait_for(rf"taken back\.\s*\n1 of 2\s[\s\S]*{ASKED}")
        assert (empty_project.folder / "plan.yaml").read_bytes() == before
        screen.type("q", "Enter")
        screen.wait_for(r"(?m)^\[ended 3\]")
        for line in screen.read("-J").split("\n"):
            assert columns(line) <= width or "/" in line or len(line.split()[-1]) >= 32, line
    finally:
        screen.tmux("kill-server")
