"""Which of two records of the same run counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpt_migrate.tracking.records import Run


def preference(run: Run) -> tuple[bool, bool, bool, bool]:
    """Return a key that is greater for the record that says more.

    Active beats deleted, an end beats none (the other was copied while the run went on), then a start and an
    experiment's name.
    """
    return not run.is_deleted, run.end_utc_ms is not None, run.start_utc_ms is not None, bool(run.experiment)
