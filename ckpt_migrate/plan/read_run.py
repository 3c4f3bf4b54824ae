"""Reading what a plan says of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.naming import is_run_id
from ckpt_migrate.plan.fields import run_data
from ckpt_migrate.plan.records import RunFacts
from ckpt_migrate.plan.seal import broken

if TYPE_CHECKING:
    from ckpt_migrate.strict_yaml import Field

_TEXTS = ("name", "experiment", "experiment_id", "status")
_REQUIRED = (*_TEXTS, "is_deleted", "seal")
_OPTIONAL = ("start", "artifact_uri", "params", "metrics")


def read_run(run_id: str, item: Field) -> RunFacts:
    """Return the facts of a run; what is wrong is noted, edits above all: nothing here is for a person to edit."""
    keys = item.mapping(required=_REQUIRED, optional=_OPTIONAL)
    if not is_run_id(run_id):
        item.refuse(f"{run_id!r:.80} is no run id: 32 lower-case hexadecimal digits")
    texts = {key: keys[key].text() if key in keys else "" for key in _TEXTS}
    run = RunFacts(
        run_id=run_id,
        **texts,
        is_deleted=keys["is_deleted"].boolean() if "is_deleted" in keys else False,
        start=keys["start"].text_or_none() if "start" in keys else None,
        artifact_uri=keys["artifact_uri"].text_or_none() if "artifact_uri" in keys else None,
        params={key: value.text() for key, value in _members(keys.get("params")).items()},
        metrics={key: value.number() for key, value in _members(keys.get("metrics")).items()},
    )
    if "seal" in keys:
        _check_seal(run, item, keys)
    return run


def _check_seal(run: RunFacts, item: Field, keys: dict[str, Field]) -> None:
    edited = broken(keys["seal"].text(), run_data(run))
    if edited is None:
        keys["seal"].refuse("the seal is damaged")
    for name in edited or ():
        keys.get(name, item).refuse(f"{name} was edited, but belongs to the planner")


def _members(field: Field | None) -> dict[str, Field]:
    return {} if field is None else field.mapping(optional=None)
