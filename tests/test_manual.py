"""The manual pages are in step with the commands, and a reader of manuals has nothing to say against them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from ckpt_migrate.cli import COMMANDS

FOLDER = Path(__file__).resolve().parents[1] / "man"
PAGES = sorted(FOLDER.glob("*.1"))


def test_every_command_has_its_page_and_no_other_has() -> None:
    assert {page.name for page in PAGES} == {"ckpt-migrate.1", *(f"ckpt-migrate-{name}.1" for name in COMMANDS)}


@pytest.mark.skipif(importlib.util.find_spec("click_man") is None, reason="click-man needs Python 3.11")
def test_the_pages_are_those_of_the_commands() -> None:
    """When this fails, `make man` writes them anew."""
    import manual  # noqa: PLC0415 - it needs click-man

    for name, text in manual.pages().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, name


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff, which reads manual pages, is not installed")
def test_a_page_reads_well() -> None:
    """Without a warning, with its examples line by line and options that can be copied."""
    command = ["groff", "-man", "-ww", "-Tascii", "-P-cbou", *map(str, PAGES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "       ckpt-migrate apply plan.yaml --dry-run\n         ckpt-migrate apply plan.yaml\n" in done.stdout
    assert "\n       --tracking-uri URI\n" in done.stdout
