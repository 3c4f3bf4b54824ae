"""The manual pages, made from the commands by click-man: `make man` writes them to `man/`, which wheels install."""

from __future__ import annotations

import re
import sys
from inspect import cleandoc
from pathlib import Path

import click
from click_man.man import ManPage

from ckpt_migrate import __version__
from ckpt_migrate.cli import COMMANDS, cli

FOLDER = Path(__file__).resolve().parents[1] / "man"
_NO_FILLING = "\b"
"""What click reads as: the lines of this paragraph stay as they are."""


def pages() -> dict[str, str]:
    """Return the text of each page by the name of its file."""
    top = click.Context(cli, info_name="ckpt-migrate")
    made = {"ckpt-migrate.1": _page(top, "Give checkpoint directories the id of their MLflow run.")}
    for name, (_, short) in COMMANDS.items():
        command = cli.get_command(top, name)
        assert command is not None  # noqa: S101 - it is in the list
        made[f"ckpt-migrate-{name}.1"] = _page(click.Context(command, info_name=name, parent=top), short)
    return made


def _page(context: click.Context, short: str) -> str:
    page = ManPage(context.command_path)
    page.version = __version__
    page.date = ""  # the same commands give the same page on every day
    page.short_help = short
    page.synopsis = " ".join(context.command.collect_usage_pieces(context))
    page.description = _description(cleandoc(context.command.help or ""))
    records = [option.get_help_record(context) for option in context.command.params if isinstance(option, click.Option)]
    page.options = [(names, _escaped(text)) for names, text in filter(None, records)]
    if context.command is cli:
        page.commands = [(name, _escaped(text)) for name, (_, text) in COMMANDS.items()]
    return str(page)


def _description(text: str) -> str:
    """Return a help text as roff, the lines of examples left as they are."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith(_NO_FILLING):
            lines = _escaped(paragraph.lstrip(f"{_NO_FILLING}\n"))
            paragraphs.append(f".nf\n{lines}\n.fi")
        else:
            paragraphs.append(_escaped(paragraph))
    return "\n\n".join(paragraphs)


def _escaped(text: str) -> str:
    """Return text in which no letter is a command to roff, and a hyphen is one that can be copied."""
    plain = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", plain)


def main(folder: Path) -> None:
    """Write the pages to a folder, and remove those of commands that are gone."""
    folder.mkdir(exist_ok=True)
    made = pages()
    for old in folder.glob("*.1"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
