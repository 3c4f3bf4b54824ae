"""One process at a time for each root, its holder named, a dead one no hindrance."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ckpt_migrate import storage
from ckpt_migrate.errors import LockedError
from ckpt_migrate.executor import lock, mounts

HOLD = """
import sys, time
from ckpt_migrate.executor import lock
with lock.hold(sys.argv[1:]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def roots(tmp_path: Path) -> list[str]:
    made = [tmp_path / name for name in ("one", "two")]
    for root in made:
        (root / ".ckpt-migrate").mkdir(parents=True)
    return [str(root) for root in made]


@pytest.fixture(params=["system", "by name"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with the system's locks, and on a file system that has none."""
    if request.param == "by name":

        def unsupported(*_: object) -> None:
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr(fcntl, "flock", unsupported)
    return str(request.param)


@pytest.mark.usefixtures("kind")
def test_a_held_root_names_its_holder(roots: list[str]) -> None:
    """The message says host, process and since when; the lock is free again afterwards."""
    with lock.hold(roots[:1]):
        with pytest.raises(LockedError) as caught, lock.hold(roots):
            pass
        assert f"process {os.getpid()} on {socket.gethostname()}, since 20" in caught.value.what
        assert caught.value.where == roots[0]
        with lock.hold(roots[1:]):
            pass
    with lock.hold(roots):
        pass


def test_a_killed_holder_is_no_hindrance(roots: list[str]) -> None:
    child = subprocess.Popen([sys.executable, "-c", HOLD, *roots], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(LockedError, match=f"process {child.pid}"), lock.hold(roots):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with lock.hold(roots):
        pass


def test_a_dead_holder_is_recognised_where_there_are_no_locks(
    roots: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that such a holder left is put aside; one of another host is respected."""

    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    held = os.path.join(roots[0], ".ckpt-migrate", "lock.held")
    for host, is_free in ((socket.gethostname(), True), ("elsewhere", False)):
        with open(held, "w", encoding="ascii") as file:
            json.dump({"host": host, "pid": child.pid, "since": "2026-02-01T00:00:00Z"}, file)
        if is_free:
            with lock.hold(roots[:1]):
                pass
            assert os.listdir(os.path.dirname(held)) == ["lock"]
        else:
            with pytest.raises(LockedError, match="on elsewhere"), lock.hold(roots[:1]):
                pass


@pytest.mark.usefixtures("kind")
def test_a_waiter_is_told_once_and_gets_the_lock(roots: list[str]) -> None:
    """The notice comes after 0.4 s and no sooner."""
    told: list[tuple[float, str]] = []
    start_s = time.monotonic()
    first = lock.hold(roots)
    first.__enter__()
    timer = threading.Timer(0.8, lambda: first.__exit__(None, None, None))
    timer.start()
    with lock.hold(roots, timeout_s=10, on_wait=lambda text: told.append((time.monotonic() - start_s, text))):
        assert time.monotonic() - start_s >= 0.7
    timer.join()
    assert len(told) == 1
    assert 0.4 <= told[0][0] < 0.8
    assert f"process {os.getpid()}" in told[0][1]


def test_a_wait_ends_at_its_time(roots: list[str]) -> None:
    with lock.hold(roots):
        start_s = time.monotonic()
        with pytest.raises(LockedError), lock.hold(roots, timeout_s=0.2):
            pass
        assert 0.2 <= time.monotonic() - start_s < 2


@pytest.mark.usefixtures("kind")
def test_a_lock_whose_file_is_removed_is_missed(roots: list[str]) -> None:
    """Its holder is told before the next group; whoever comes then makes a file of his own, and keeps it."""
    folder = os.path.join(roots[0], ".ckpt-migrate")
    with lock.hold(roots) as held:
        held.check()
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        with pytest.raises(OSError, match="removed or replaced while it was held"):
            held.check()


def test_removing_the_file_of_a_lock_lets_nobody_in(roots: list[str]) -> None:
    with lock.hold(roots):
        os.unlink(os.path.join(roots[0], ".ckpt-migrate", "lock"))
        with pytest.raises(LockedError), lock.hold(roots):
            pass


def test_a_holder_record_that_cannot_be_read_is_no_error(roots: list[str]) -> None:
    path = os.path.join(roots[0], ".ckpt-migrate", "lock")
    with lock.hold(roots[:1]):
        with open(path, "wb") as file:
            file.write(b"\xff{")
        with pytest.raises(LockedError, match="another process"), lock.hold(roots[:1]):
            pass


def test_a_holder_record_that_cannot_be_emptied_does_not_end_the_work(
    roots: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may fill up meanwhile; the lock ends with its process all the same."""

    def write(handle: int, data: bytes) -> None:
        if not data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle, data)

    real = storage.write_record
    monkeypatch.setattr(storage, "write_record", write)
    for _ in range(2):
        with lock.hold(roots):
            pass


@pytest.mark.parametrize(
    ("kind", "mounted", "super_options", "is_local"),
    [
        ("ext4", "rw", "rw", False),
        ("nfs4", "rw,relatime", "rw,vers=4.2,local_lock=none", False),
        ("nfs", "rw,relatime", "rw,vers=3,nolock,local_lock=all", True),
        ("fuse.sshfs", "rw", "rw,user_id=0", True),
        ("cifs", "rw", "rw,vers=3.0,nobrl", True),
    ],
)
def test_locks_that_other_hosts_do_not_see_get_a_file_that_they_see(
    roots: list[str], monkeypatch: pytest.MonkeyPatch, kind: str, mounted: str, super_options: str, *, is_local: bool
) -> None:
    """NFS without a lock service, sshfs: one host knows of the lock, the others see only what is in the folder.

    A process of another host is never taken for dead: the message says what to remove when it is known to be.
    """
    device = os.stat(roots[0]).st_dev
    table = Path(roots[0]).parent / "mountinfo"
    number = f"{os.major(device)}:{os.minor(device)}"
    mine = f"36 30 {number} / /x {mounted} shared:1 - {kind} s {super_options}\n"
    table.write_text(f"30 1 0:99 / / rw - tmpfs x rw\n{mine}")
    monkeypatch.setattr(mounts, "MOUNTS", str(table))
    held = Path(roots[0]) / ".ckpt-migrate" / "lock.held"
    with lock.hold(roots[:1]):
        assert held.exists() is is_local
    assert not held.exists()
    held.write_text(json.dumps({"host": "another", "pid": os.getpid(), "since": "2026-02-01T00:00:00Z"}))
    if not is_local:
        with lock.hold(roots[:1]):
            return
    with pytest.raises(LockedError, match="on another, since") as caught, lock.hold(roots[:1]):
        pass
    assert f"remove {held}" in str(caught.value)
