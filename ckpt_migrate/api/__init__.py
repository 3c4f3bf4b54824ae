"""The verbs of the tool, for notebooks and scripts.

    from ckpt_migrate import api

    planned = api.plan("checkpoints/phase2", tracking_uri="sqlite:///mlflow.db", output="plan.yaml")
    undecided = [entry for entry in planned.plan.entries if entry.action == "skip"]
    for operation in api.apply("plan.yaml", is_dry_run=True).operations:
        print(operation.symbol, operation.describe())
    result = api.apply("plan.yaml")
    verified = api.verify("checkpoints/phase2", tracking_uri="sqlite:///mlflow.db")
    undone = api.rollback(result.log)

Paths may be texts or path objects; one root may be given without a list. Every function raises subclasses of
:class:`ckpt_migrate.errors.CkptMigrateError`, and nothing else, for bad input.
"""

from __future__ import annotations

from ckpt_migrate.api.changes import apply, apply_loaded, find_log, recheck, remove_links, rollback
from ckpt_migrate.api.looking import Verified, evidence, find, links, logs, scan, verify
from ckpt_migrate.api.plans import Report, doubts, load, plan, read, report

__all__ = [
    "Report",
    "Verified",
    "apply",
    "apply_loaded",
    "doubts",
    "evidence",
    "find",
    "find_log",
    "links",
    "load",
    "logs",
    "plan",
    "read",
    "recheck",
    "remove_links",
    "report",
    "rollback",
    "scan",
    "verify",
]
