"""`ckpt-migrate completions`."""

from __future__ import annotations

import click

from ckpt_migrate.cli import output


@click.command("completions", short_help="Print a script that makes a shell complete commands and names.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print a script that makes SHELL complete commands, options, plans, logs and checkpoints.

    \b
    Example:
      eval "$(ckpt-migrate completions bash)"          in ~/.bashrc
      eval "$(ckpt-migrate completions zsh)"           in ~/.zshrc, after compinit
      ckpt-migrate completions fish > ~/.config/fish/completions/ckpt-migrate.fish
    """
    from click.shell_completion import get_completion_class

    from ckpt_migrate.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    output.echo(kind(cli, {}, "ckpt-migrate", "_CKPT_MIGRATE_COMPLETE").source())
    return 0
