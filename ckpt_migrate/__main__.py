"""`python -m ckpt_migrate` is `ckpt-migrate`."""

from ckpt_migrate.cli import main

if __name__ == "__main__":
    main()
