"""The documentation: its commands run, its site builds without a warning, its list of errors is whole."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pages
import pytest
import yaml

from ckpt_migrate.cli import COMMANDS, run
from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED

if TYPE_CHECKING:
    from project import Project

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
STORE = ("--tracking-uri", "mlruns")
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def commands_of(page: Path) -> list[str]:
    """Return the commands that a page shows at a prompt."""
    blocks = CONSOLE.findall(page.read_text(encoding="utf-8"))
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


PAGES = sorted(page for page in DOCS.rglob("*.md") if commands_of(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_commands_of_a_page_run_one_after_the_other(
    project: Project, capsys: pytest.CaptureFixture[str], page: Path
) -> None:
    """On a tree with a store of files, which is made faster than the demo's; 68e1442c is one of its directories."""
    shutil.copy(REPOSITORY / "migrations" / "phase2_run_id.yaml", project.folder / "mine.yaml")
    (project.folder / "orphans.txt").write_text(f"{project.training(4).legacy}\n", encoding="utf-8")
    for line in commands_of(page):
        given = line.replace("sqlite:///mlflow.db", "mlruns").replace("68e1442c", project.training(4).uid[:8])
        program, *arguments = shlex.split(given)
        assert program == "ckpt-migrate"
        code = run(arguments)
        captured = capsys.readouterr()
        assert code in {EXIT_DONE, EXIT_UNDECIDED}, f"{line}\n{captured.err}"
        assert captured.out, line


def test_every_command_is_in_the_reference() -> None:
    page = pages.on_page_markdown((DOCS / "reference" / "commands.md").read_text(encoding="utf-8"))
    assert [name for name in COMMANDS if f"Usage: ckpt-migrate {name} " not in page] == []


def test_the_list_of_errors_is_whole() -> None:
    """Every class, and every place in the code where an error is made, with its words."""
    found = list(pages.raised())
    made = [
        f"{path.relative_to(pages.PACKAGE)}:{node.lineno}"
        for path in sorted(pages.PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in pages.CLASSES
    ]
    assert sorted(one.place for one in found) == sorted(made)
    assert [one.place for one in found if not one.what] == []
    text = pages.error_list()
    for name, kind in pages.CLASSES.items():
        assert f"## {name}\n" in text
        assert f"Exit code {kind.exit_code}." in text


def test_an_error_is_told_with_its_remedy_and_what_is_filled_in() -> None:
    text = pages.error_list()
    assert "| no such time zone | Give an IANA name such as Europe/Berlin, America/New_York or UTC. |" in text
    assert "names runs that the store {shown} does not have" in text


def test_the_keys_of_json_are_listed_and_there(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What programs rely on is on the page, key by key, and nothing on the page is missing from the output."""
    told: dict[str, set[str]] = {}
    command = ""
    lines = (DOCS / "reference" / "json.md").read_text(encoding="utf-8").splitlines()
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or set(line) <= set("| -"):
            continue
        name, keys, meaning = cells
        command = name.strip("`") or command
        told.setdefault(command, set()).update(re.findall(r"`(\w+)`", keys or meaning))
    calls = {
        "scan": ["checkpoints"], "plan": ["checkpoints", *STORE], "show": ["plan.yaml"], "report": ["plan.yaml"],
        "apply": ["plan.yaml", "--yes"], "log": ["checkpoints"], "verify": ["checkpoints", *STORE],
        "find": ["68e1442c", "--root", "checkpoints", *STORE], "rollback": ["latest", "--yes"],
    }  # fmt: skip
    for name, arguments in calls.items():
        capsys.readouterr()
        run([name, *arguments, "--format", "json"])
        data = json.loads(capsys.readouterr().out)
        assert told[name] <= set(data[0] if isinstance(data, list) else data), name
    assert set(told) - {"command"} == set(calls)
    assert project.root.is_dir()


def test_no_page_is_out_of_reach(tmp_path: Path) -> None:
    """What the navigation forgets stands at its end."""
    settings = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    config = {"docs_dir": str(DOCS), "nav": settings["nav"]}
    pages.on_config(config)
    assert set(pages.listed_pages(config["nav"])) == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    (tmp_path / "new.md").write_text("# New\n", encoding="utf-8")
    config = {"docs_dir": str(tmp_path), "nav": ["index.md"]}
    pages.on_config(config)
    assert config["nav"] == ["index.md", {"More": ["new.md"]}]


@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="MkDocs Material is not installed")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == EXIT_DONE, done.stderr
    assert "WARNING -" not in done.stderr
    errors = (tmp_path / "site" / "errors" / "index.html").read_text(encoding="utf-8")
    assert "no such time zone" in errors
    assert "--dry-run" in (tmp_path / "site" / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
