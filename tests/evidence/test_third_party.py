"""A reader of another package, as docs/readers.md describes it: written, installed, and used by the command line."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from ckpt_migrate.cli import run
from ckpt_migrate.evidence import reading
from ckpt_migrate.recipe import load_recipe

PAGE = (Path(__file__).parents[2] / "docs" / "readers.md").read_text(encoding="utf-8")
OLD = "ac7c134d5a5a44c4ac38fbc83f650af0_20260201_041227"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with the reader of the page in it, as an installer leaves it."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (group, name, target) = re.findall(r'entry-points\."(.*?)"\]\n(\w+) = "(.*?)"', PAGE)[0]
    site = tmp_path / "site"
    (site / "my_package-1.0.dist-info").mkdir(parents=True)
    (site / "my_package-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n"
    )
    (site / "my_package-1.0.dist-info" / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n")
    (site / "my_package.py").write_text(code)
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    return site


@pytest.mark.usefixtures("site")
def test_the_reader_of_the_page_is_found_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its facts stand beside all others, and so does what it refuses."""
    directory = tmp_path / "phase2" / OLD
    directory.mkdir(parents=True)
    (directory / "notes.txt").write_text("author: me\nlr: 0.1\n")
    (directory / "old-notes.txt").write_text("nothing\n")
    assert run(["scan", str(tmp_path), "--evidence"]) == 0
    told = capsys.readouterr().out
    assert "  notes.txt  (read by: notes)\n    param   author = me\n    param   lr = 0.1\n" in told
    assert "  old-notes.txt  (reader: notes)  NOT READ: no `key: value`: nothing\n" in told


def test_the_page_lists_every_reader() -> None:
    names = {make(load_recipe()).name for make in reading.BUILT_IN}
    assert set(re.findall(r"^\| ([a-z ]+) \| ", PAGE, re.MULTILINE)) == names | {"reader"}
