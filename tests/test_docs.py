"""The documentation: its commands run, its site builds without a warning, its list of errors is whole."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pages
import pytest
import raised
import yaml

from ckpt_migrate.cli import COMMANDS, cli, run
from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED

if TYPE_CHECKING:
    from project import Project

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def commands_of(page: Path) -> list[str]:
    """Return the commands that a page shows at a prompt."""
    blocks = CONSOLE.findall(page.read_text(encoding="utf-8"))
    return [line.strip()[2:] for block in blocks for line in block.splitlines() if line.strip().startswith("$ ")]


PAGES = sorted(page for page in DOCS.rglob("*.md") if commands_of(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_commands_of_a_page_run_one_after_the_other(
    project: Project, capsys: pytest.CaptureFixture[str], page: Path
) -> None:
    """On a tree with a store of files, which is made faster than the demo's."""
    shutil.copy(REPOSITORY / "migrations" / "phase2_run_id.yaml", project.folder / "mine.yaml")
    (project.folder / "orphans.txt").write_text(f"{project.training(4).legacy}\n", encoding="utf-8")
    for line in commands_of(page):
        follow(project, capsys, line)


def test_the_commands_of_the_first_page_run_one_after_the_other(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the README, but a person is not asked, and recipes of other layouts are tested with those."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"(?m)^    \$ (ckpt-migrate .*)$", text)
    lines = [line for line in shown if "--migration" not in line]
    assert len(lines) >= 6
    for line in lines:
        is_asked = line.startswith(("ckpt-migrate apply", "ckpt-migrate rollback")) and "--dry-run" not in line
        follow(project, capsys, f"{line} --yes" if is_asked else line)


def follow(project: Project, capsys: pytest.CaptureFixture[str], line: str) -> None:
    """Do what a page says; the demo's store and two of its directories are the project's here."""
    others = {
        "sqlite:///mlflow.db": "mlruns",
        "68e1442c": project.training(4).uid[:8],
        "41476d1a": project.training(0).uid[:8],
    }
    given = line
    for old, new in others.items():
        given = given.replace(old, new)
    given, _, target = given.partition(" > ")
    program, *arguments = shlex.split(given)
    assert program == "ckpt-migrate"
    code = run(arguments)
    captured = capsys.readouterr()
    assert code in {EXIT_DONE, EXIT_UNDECIDED}, f"{line}\n{captured.err}"
    assert captured.out, line
    if target:
        (project.folder / target).write_text(captured.out, encoding="utf-8")


@pytest.mark.parametrize("page", [*sorted(DOCS.rglob("*.md")), REPOSITORY / "README.md"], ids=lambda page: page.name)
def test_every_command_that_is_named_is_one_with_those_options(page: Path) -> None:
    """In blocks that are not run and in the middle of sentences as well."""
    text = page.read_text(encoding="utf-8")
    named = [
        *re.findall(r"`(ckpt-migrate [^`]*)`", text),
        *re.findall(r"(?m)^(?:\$ |- |    |- run: )*(ckpt-migrate .*)$", text),
    ]
    for call in named:
        words = [word for word in call.split()[1:] if word not in {"-q", "-v"}]
        if not words or not words[0].islower() or words[0].startswith("-"):
            continue  # `ckpt-migrate COMMAND --help`, `ckpt-migrate --version`
        assert words[0] in COMMANDS, call
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None
        known = {name for option in command.params for name in option.opts} | {"--help", "-h"}
        assert {word.rstrip(".,;:") for word in words if word.startswith("-") and len(word) > 1} <= known, call


def test_every_command_is_in_the_reference() -> None:
    page = pages.on_page_markdown((DOCS / "reference" / "commands.md").read_text(encoding="utf-8"))
    assert [name for name in COMMANDS if f"Usage: ckpt-migrate {name} " not in page] == []


TOLD_ELSEWHERE = {"journal/logs.py", "executor/session.py"}
"""Modules that pass on the words of an error that is in the list already, or are given a remedy."""


def test_the_list_of_errors_is_whole() -> None:
    """Every class, and every place in the code where an error is made, with what is wrong and what to do next."""
    found = list(raised.raised())
    made = [
        f"{path.relative_to(raised.PACKAGE)}:{node.lineno}"
        for path in sorted(raised.PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in raised.CLASSES
    ]
    assert sorted(one.place for one in found) == sorted(made)
    assert [one.place for one in found if not one.what or not one.remedy] == []
    bare = [one for one in found if re.fullmatch(r"\{\w+\}", one.what) or re.fullmatch(r"\{\w+\}", one.remedy)]
    assert {one.place.partition(":")[0] for one in bare} <= TOLD_ELSEWHERE
    text = pages.error_list()
    for name, kind in raised.CLASSES.items():
        assert f"## {name}\n" in text
        assert f"Exit code {kind.exit_code}." in text


def test_an_error_is_told_with_its_remedy_and_what_is_filled_in() -> None:
    text = pages.error_list()
    assert "| no such time zone | Give an IANA name such as Europe/Berlin, America/New_York or UTC. |" in text
    assert "names runs that the store {shown} does not have" in text


def test_the_page_of_json_has_every_key_of_every_command() -> None:
    """What programs rely on; that the schema is true to the commands is tested with them."""
    page = pages.on_page_markdown((DOCS / "reference" / "json.md").read_text(encoding="utf-8"))
    for name in ("scan", "plan", "show", "report", "apply", "rollback", "log", "verify", "links", "find", "recipes"):
        assert f"\n## {name}\n" in page
    assert "| `findings[].kind` | What is wrong. `no-run` `deleted-run`" in page
    assert "| `entries[]` | Those asked for. See [entry](#entry). |" in page


def test_every_option_is_in_the_list_of_settings_but_those_said_each_time() -> None:
    page = pages.settings()
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        for option in command.params:
            if isinstance(option, click.Option) and not {"--yes", "--overwrite", "--remove"} & set(option.opts):
                assert f"| `{option.envvar}` | `{option.opts[-1]}` of " in page, option.opts


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
