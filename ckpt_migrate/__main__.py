"""`python -m ckpt_migrate` is `ckpt-migrate`; a Ctrl-C while it is still imported ends it as quietly as a later one."""

import sys


def main() -> None:
    """Run the command line of this process."""
    try:
        from ckpt_migrate.cli import main as run  # noqa: PLC0415 - most of the time until the first output goes here

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
