"""Listings and fingerprints: they change when content does, and with nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_migrate.records import FileStat
from ckpt_migrate.scan import listing
from ckpt_migrate.scan.listing import current_fingerprint, fingerprint, list_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "directory"
    (made / "inner").mkdir(parents=True)
    (made / "a.txt").write_text("a")
    (made / "inner" / "b.txt").write_text("bb")
    (made / "link").symlink_to("a.txt")
    return made


def replace_by_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda path: (path / "a.txt").write_text("longer"),
    "time": lambda path: os.utime(path / "a.txt", ns=(0, 5)),
    "name": lambda path: (path / "a.txt").rename(path / "c.txt"),
    "more": lambda path: (path / "inner" / "new").touch(),
    "less": lambda path: (path / "inner" / "b.txt").unlink(),
    "link": lambda path: (path / "link").unlink(),
    "kind": lambda path: replace_by_directory(path / "a.txt"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_content_changes_the_fingerprint(directory: Path, change: str) -> None:
    before = current_fingerprint(str(directory))
    CHANGES[change](directory)
    assert current_fingerprint(str(directory)) != before


def test_a_rename_and_the_times_of_the_directory_itself_change_nothing(directory: Path, tmp_path: Path) -> None:
    before = current_fingerprint(str(directory))
    os.utime(directory, ns=(0, 0))
    directory.chmod(0o700)
    directory.rename(tmp_path / "renamed")
    assert current_fingerprint(str(tmp_path / "renamed")) == before


def test_a_copy_has_another_fingerprint(directory: Path, tmp_path: Path) -> None:
    """Its content is the same, its identity is not."""
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.mkdir()
    other.mkdir()
    assert current_fingerprint(str(empty)).partition(";")[2] == current_fingerprint(str(other)).partition(";")[2]
    assert current_fingerprint(str(empty)) != current_fingerprint(str(other))
    assert current_fingerprint(str(directory)) != current_fingerprint(str(empty))


def test_the_text_says_identity_count_and_size(directory: Path) -> None:
    files = list_directory(str(directory)).files
    text = fingerprint(directory.stat().st_ino, files)
    assert text == current_fingerprint(str(directory))
    assert text.startswith(f"ino={directory.stat().st_ino};n=4;bytes=3;tree=")
    assert len(text.rpartition("=")[2]) == 16


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.builds(FileStat, st.text(), st.just("file"), st.integers(0, 9), st.integers(0, 9)), max_size=4))
def test_the_order_of_files_makes_no_difference(files: list[FileStat]) -> None:
    """And names of any kind have a fingerprint."""
    by_path = {file.path: file for file in files}
    assert fingerprint(1, list(by_path.values())) == fingerprint(1, list(by_path.values())[::-1])


def test_names_cannot_feign_other_content() -> None:
    """A newline or a number in a name is not taken for the next field."""
    one = [FileStat("a", "file", 1, 2), FileStat("b", "file", 3, 4)]
    two = [FileStat("a file 1 2\nb", "file", 4, 4)]
    assert fingerprint(1, one).rpartition("=")[2] != fingerprint(1, two).rpartition("=")[2]
    assert fingerprint(1, [FileStat("\udcff", "file", 0, 0)]) != fingerprint(1, [FileStat("\\udcff", "file", 0, 0)])


def test_what_cannot_be_listed_has_no_fingerprint(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing directory, a file, and one with more in it than can be listed."""
    with pytest.raises(FileNotFoundError):
        current_fingerprint(str(directory / "missing"))
    with pytest.raises(NotADirectoryError):
        current_fingerprint(str(directory / "a.txt"))
    monkeypatch.setattr(listing, "MAX_FILES", 3)
    with pytest.raises(OSError, match="holds over 3 files"):
        current_fingerprint(str(directory))
    assert list_directory(str(directory)).files == ()
