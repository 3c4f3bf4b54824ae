"""The command line: parses, calls one verb of the API, renders its result, exits. The only room that imports click."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from typing import Any

import click

from ckpt_migrate import __version__
from ckpt_migrate.cli.loudness import is_verbose_wanted, make_options
from ckpt_migrate.cli.settings import PREFIX, name_settings, settings_of, unknown_settings
from ckpt_migrate.errors import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, CkptMigrateError

# Command to (module, one-line help): the list of commands needs none of their modules.
COMMANDS = {
    "scan": ("scan", "Show what lies below the roots; needs no MLflow store."),
    "plan": ("plan", "Match every checkpoint to its run and write the plan."),
    "show": ("show", "Show a plan as a table, or one checkpoint's whole case."),
    "review": ("review", "Settle, one by one, what the planner would not decide."),
    "report": ("report", "Make a page to look at: of a plan, or of what became of it."),
    "apply": ("apply", "Do what a plan says; continue an apply that was cut short."),
    "rollback": ("rollback", "Put back every name, byte and time stamp of an apply."),
    "log": ("log", "List past applies and the state each is in."),
    "verify": ("verify", "Check that every directory names its run and every manifest agrees."),
    "links": ("links", "List the links that applies left at old names, or remove them."),
    "find": ("find", "Look up any id or name, old or new, of a directory or a run."),
    "recipes": ("recipes", "List the shipped recipes, or print one to copy."),
    "schema": ("schema", "Print the JSON Schema of plans, of recipes or of JSON output."),
    "completions": ("completions", "Print a script that makes a shell complete commands and names."),
    "demo": ("demo", "Make a legacy tree and a real store, and run the whole story on them."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is run, and not for the list of commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of the story."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ckpt_migrate.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        if not any(option.name == "quiet" for option in command.params):
            command.params.extend(make_options())
            name_settings(cmd_name, command)
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Say which variables of the environment mean nothing to this tool, then run the command."""
        self._say_unknown_settings(ctx)
        return super().invoke(ctx)

    def _say_unknown_settings(self, ctx: click.Context) -> None:
        if not any(name.startswith(PREFIX) for name in os.environ):  # the commands need not be imported to know
            return
        from ckpt_migrate.cli.output import say

        commands = [command for name in COMMANDS if (command := self.get_command(ctx, name)) is not None]
        for sentence in unknown_settings(name for command in commands for name in settings_of(command)):
            say(f"Warning: {sentence}")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for a mistyped one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    params=list(make_options()),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ckpt-migrate", message="%(prog)s %(version)s")
def cli() -> None:
    """Give legacy checkpoint directories the id of the MLflow run that made them.

    \b
    The story:
      ckpt-migrate plan checkpoints/phase2 --tracking-uri mlruns     writes plan.yaml
      (read plan.yaml, edit it)
      ckpt-migrate apply plan.yaml --dry-run
      ckpt-migrate apply plan.yaml
      ckpt-migrate verify checkpoints/phase2 --tracking-uri mlruns
      ckpt-migrate rollback latest                                   undoes it all

    Exit codes: 0 done; 1 failed; 2 the call is wrong; 3 done, but a person must look.
    """


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; the one place where errors become messages."""
    try:
        result: Any = cli.main(args=arguments, prog_name="ckpt-migrate", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit:  # how click ends when nobody reads its help to the end
        return EXIT_DONE
    except click.exceptions.Abort:
        click.echo("Stopped; nothing more is changed.", err=True)
        return EXIT_FAILED
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except CkptMigrateError as error:
        from ckpt_migrate.cli.output import say_error

        if is_verbose_wanted(arguments):
            traceback.print_exception(error)
        say_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        return EXIT_FAILED
    except OSError as error:
        from ckpt_migrate.cli.output import say_error

        what = f"the system refused ({error.strerror or error})"
        where = None if error.filename is None else os.fsdecode(error.filename)
        say_error(CkptMigrateError(what, where=where, remedy="See to it, then run the command again."))
        return EXIT_FAILED
    return result if isinstance(result, int) else 0


def main() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or a file of another encoding shows what it cannot hold as \N, and fails nothing.
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a key of another encoding is no answer, and no failure either
    sys.exit(run(sys.argv[1:]))


__all__ = ["COMMANDS", "cli", "main", "run"]
