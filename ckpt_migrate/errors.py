"""Every error that a user can meet: what is wrong, where, what to do next, and the exit code.

The core raises these; the command line catches them in exactly one place.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNDECIDED = 3


class CkptMigrateError(Exception):
    """Base of all errors that are shown to a user without a traceback.

    Attributes:
        what: What is wrong, one sentence.
        where: The file, directory, URI or line it concerns; None when there is no single place.
        remedy: What to do next.
        problems: Further lines, when several problems were found at once.
    """

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        problems: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy
        self.problems = problems

    def __str__(self) -> str:
        """Return the message in its parts, a line each."""
        lines = [self.what if self.where is None else f"{self.where}: {self.what}"]
        lines += [f"  - {problem}" for problem in self.problems]
        if self.remedy is not None:
            lines.append(f"  {self.remedy}")
        return "\n".join(lines)


class UsageError(CkptMigrateError):
    """The call is wrong: a missing file, an unknown name, a value of the wrong form."""

    exit_code = EXIT_USAGE


class RootError(UsageError):
    """A root does not exist, is no directory, or cannot be listed."""


class RecipeError(UsageError):
    """A migration recipe is missing or wrong; lists every problem in it."""


class PlanError(UsageError):
    """A plan file is damaged, of another version, or edited beyond what a person may edit."""


class ReportError(UsageError):
    """A report cannot be written, or would replace a file that is none."""


class StoreError(CkptMigrateError):
    """An MLflow store cannot be opened or read to its end."""


class StoreNotFoundError(StoreError):
    """No MLflow store lies where one was named, or none was named and none was found."""

    exit_code = EXIT_USAGE


class DriftError(CkptMigrateError):
    """The disk is no longer as it was planned, or a target is taken; nothing was changed."""

    exit_code = EXIT_UNDECIDED


class PlanAppliedError(CkptMigrateError):
    """The plan was applied before; applying it twice is refused."""


class UnfinishedError(CkptMigrateError):
    """An earlier apply or rollback of these roots was cut short and must be continued or undone first."""


class LockedError(CkptMigrateError):
    """Another process works on the same root; names its host, pid and since when."""


class AuditError(CkptMigrateError):
    """An audit of a plan attached directories to runs that cannot be theirs; lists them; no plan was written."""


class JournalError(CkptMigrateError):
    """A log is no log of this tool, or is damaged before its last line."""


class ExecutionError(CkptMigrateError):
    """A change failed while applying or rolling back; says what was changed and how to go on or undo."""
