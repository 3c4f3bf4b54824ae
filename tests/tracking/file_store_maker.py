"""Writes file stores byte by byte, as MLflow of any version laid them out, and as disks and people leave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUN = "94525c6650a3407985928d7c2f83f9eb"
OTHER = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"

EXPERIMENT = "artifact_location: file:///x/{id}\nexperiment_id: '{id}'\nlifecycle_stage: active\nname: {name}\n"
META = """\
artifact_uri: file:///x/{experiment}/{run_id}/artifacts
end_time: 1700000060000
entry_point_name: ''
experiment_id: '{experiment}'
lifecycle_stage: active
run_id: {run_id}
run_name: brave-ox-1
run_uuid: {run_id}
source_name: ''
source_type: 4
source_version: ''
start_time: 1700000000000
status: 3
tags: []
user_id: me
"""


def write(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def add_experiment(store: Path, number: str = "1", name: str = "phase2", meta: str | None = None) -> Path:
    write(store / number / "meta.yaml", meta if meta is not None else EXPERIMENT.format(id=number, name=name))
    return store / number


def add_run(
    store: Path,
    run_id: str = RUN,
    *,
    experiment: str = "1",
    meta: str | bytes | None = None,
    params: Mapping[str, str | bytes] | None = None,
    tags: Mapping[str, str | bytes] | None = None,
    metrics: Mapping[str, str | bytes] | None = None,
) -> Path:
    """Write a run; folders without content are left out, as git leaves them out."""
    folder = store / experiment / run_id
    write(folder / "meta.yaml", META.format(run_id=run_id, experiment=experiment) if meta is None else meta)
    for kind, files in (("params", params), ("tags", tags), ("metrics", metrics)):
        for key, data in (files or {}).items():
            write(folder / kind / key, data)
    return folder
