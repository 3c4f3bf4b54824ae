"""A second process looks ahead of the checks; whatever becomes of it, the checks find what they find without it.

Each story runs in an interpreter of its own: a process is forked only where there is a single thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from trees import make_tree

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) == 1, reason="needs Linux and a second processor"
)
START = """
import os, shutil, signal, sys, threading, time
from ckpt_migrate.apply import lookout
from ckpt_migrate.executor.identity import sight
from ckpt_migrate.executor.status import look
lookout.MANY, lookout.SHARE = 1, 2
root = sys.argv[1]
paths = sorted(os.path.join(root, name) for name in os.listdir(root))
def own(path):
    status = look(path)
    return status, sight(path, status, ignored=())
def has_child():
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
"""


def _run(tmp_path: Path, story: str) -> None:
    tree = make_tree(tmp_path / "project")
    for number in range(11):
        tree.add(number)
    command = [sys.executable, "-c", START + story, str(tree.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_sees_what_the_checks_would_see(tmp_path: Path) -> None:
    """Two shares of three are its own; none of a file is told, nor of what is gone; and it leaves no process behind."""
    story = """
shutil.rmtree(paths[2]); shutil.rmtree(paths[3]); open(paths[3], "w").close()
with lookout.Lookout(paths, ignored=()) as ahead:
    seen = [ahead.seen(number) for number in range(len(paths))]
    assert has_child()
assert not has_child()
theirs = [number for number in range(len(paths)) if number // 2 % 3 and number not in {2, 3}]
assert theirs == [4, 5, 8, 9, 10], theirs
assert [number for number, each in enumerate(seen) if each is not None] == theirs
assert [seen[number] for number in theirs] == [own(paths[number]) for number in theirs]
"""
    _run(tmp_path, story)


def test_after_its_death_the_checks_look_for_themselves(tmp_path: Path) -> None:
    story = """
look_at = lookout._look_at
def die(path, ignored):
    if path == paths[8]:
        os.kill(os.getpid(), signal.SIGKILL)
    return look_at(path, ignored)
lookout._look_at = die
with lookout.Lookout(paths, ignored=()) as ahead:
    seen = [ahead.seen(number) for number in range(len(paths))]
assert [number for number, each in enumerate(seen) if each is not None] == [2, 3, 4, 5]
assert not has_child()
"""
    _run(tmp_path, story)


def test_it_holds_nothing_and_takes_no_signal_of_the_first_process(tmp_path: Path) -> None:
    """Else a lock would outlive its holder, and Ctrl-C would end it as if it were the first process."""
    story = """
held = os.open(root, os.O_RDONLY)
ours, theirs = os.pipe()
def wait(path, ignored):
    time.sleep(30)
lookout._look_at = wait
with lookout.Lookout(paths, ignored=()) as ahead:
    os.kill(ahead._pid, signal.SIGINT)
    os.kill(ahead._pid, signal.SIGTERM)
    os.close(theirs)
    assert os.read(ours, 1) == b""  # ended only when nobody else has it open
    assert os.waitpid(ahead._pid, os.WNOHANG) == (0, 0)
assert not has_child()
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
"""
    _run(tmp_path, story)


def test_there_is_none_beside_other_threads_or_for_few(tmp_path: Path) -> None:
    """A fork beside threads would leave their locks held."""
    story = """
end = threading.Event()
thread = threading.Thread(target=end.wait)
thread.start()
with lookout.Lookout(paths, ignored=()) as ahead:
    assert ahead.seen(2) is None
    assert not has_child()
end.set(); thread.join()
lookout.MANY = len(paths) + 1
with lookout.Lookout(paths, ignored=()) as ahead:
    assert ahead.seen(2) is None
    assert not has_child()
"""
    _run(tmp_path, story)
