"""What lies in one run's folder of a file store: its meta.yaml, params, tags and metrics."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ckpt_migrate.tracking.key_files import read_bounded, read_keys
from ckpt_migrate.tracking.meta_yaml import MAX_BYTES as MAX_META_BYTES
from ckpt_migrate.tracking.meta_yaml import MetaError, parse_meta
from ckpt_migrate.tracking.metric_lines import all_points, last_point
from ckpt_migrate.tracking.records import MetricPoint, RunDetails
from ckpt_migrate.tracking.run_fields import RUN_NAME_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.tracking.passed_over import PassedOver

MAX_VALUE_BYTES = 1 << 20
"""Longest param or tag that is read; MLflow's own limits are 6,000 and 8,000 characters."""
MAX_METRIC_BYTES = 64 << 20
"""Longest metric file that is read, well over a million points; parsing it takes ten times its size."""

Texts: TypeAlias = "tuple[dict[str, str], dict[str, str]]"
"""Params and tags."""

PackedPoints: TypeAlias = "dict[str, tuple[float, int, int]]"
"""Last points as plain containers, which pass from process to process at little cost."""

Head: TypeAlias = "tuple[dict[str, str | None] | None, str | None]"
"""The fields of a run's meta.yaml, or why there are none; neither where the folder is no run's."""

META = "meta.yaml"
_KINDS = ("params", "metrics", "tags")
_SHORT_VALUE = 64


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's folder.

    Attributes:
        experiment_folder: The folder of its experiment.
        run_id: Its name.
        is_0x: Written by MLflow 0.x, which ended params with a newline.
    """

    experiment_folder: str
    run_id: str
    is_0x: bool

    @property
    def path(self) -> str:
        """The folder itself."""
        return f"{self.experiment_folder}/{self.run_id}"

    def texts(self, passed_over: PassedOver, known: dict[bytes, str]) -> Texts:
        """Return params and tags, sorted by key.

        Args:
            passed_over: Takes what is malformed.
            known: Short values met so far; values repeat from run to run, and one copy serves all.
        """
        return self._texts("params", passed_over, known), self._texts("tags", passed_over, known)

    def _texts(self, kind: str, passed_over: PassedOver, known: dict[bytes, str]) -> dict[str, str]:
        found = {}
        folder = f"{self.path}/{kind}"
        has_newline = self.is_0x and kind == "params"
        intern = sys.intern  # what is in this loop happens half a million times for 10,000 runs
        for key, data in read_keys(folder, MAX_VALUE_BYTES, passed_over):
            value = data[:-1] if has_newline and data.endswith(b"\n") else data
            text = known.get(value)
            if text is None or not key.isascii():
                try:
                    text = value.decode("utf-8")
                    key.encode("utf-8")
                except UnicodeError:
                    passed_over.add(f"{folder}/{key}", "not UTF-8")
                    continue
                if len(value) <= _SHORT_VALUE:
                    known[value] = text
            found[intern(key)] = text
        return found

    def packed_points(self, passed_over: PassedOver) -> PackedPoints:
        """Return the last point of every metric, sorted by key: value, step, time."""
        points = {}
        folder = f"{self.path}/metrics"
        for key, data in read_keys(folder, MAX_METRIC_BYTES, passed_over):
            point, malformed = last_point(data)
            if point is None or malformed:
                _note(f"{folder}/{key}", malformed, passed_over)
            if point is not None:
                points[sys.intern(key)] = (point.value, point.step, point.timestamp_utc_ms)
        return points

    def histories(self, passed_over: PassedOver) -> Mapping[str, Sequence[MetricPoint]]:
        """Return every well-formed point of every metric, sorted by step, then time."""
        found = {}
        folder = f"{self.path}/metrics"
        for key, data in read_keys(folder, MAX_METRIC_BYTES, passed_over):
            points, malformed = all_points(data)
            if malformed or not points:
                _note(f"{folder}/{key}", malformed, passed_over)
            if points:
                found[key] = points
        return found


def read_head(folder: str) -> Head:
    """Read the meta.yaml of a folder that is named like a run; a name that stands in the tag alone is put in."""
    try:
        fields = parse_meta(read_bounded(f"{folder}/{META}", MAX_META_BYTES))
    except NotADirectoryError:
        return None, None
    except FileNotFoundError:
        # A folder of artifacts alone belongs to a run in a database whose artifacts lie here.
        is_run = any(os.path.isdir(f"{folder}/{kind}") for kind in _KINDS)
        return None, f"a run without {META}" if is_run else None
    except MetaError as error:
        return None, f"{META}: {error}"
    except OSError as error:
        return None, f"{META} cannot be read ({error.strerror or error})"
    if not (fields.get("run_name") or fields.get("name")):
        with contextlib.suppress(OSError, UnicodeError):
            fields["run_name"] = read_bounded(f"{folder}/tags/{RUN_NAME_TAG}", MAX_VALUE_BYTES).decode("utf-8")
    return fields, None


def _note(where: str, malformed: int, passed_over: PassedOver) -> None:
    passed_over.add(where, f"{malformed} malformed lines" if malformed else "holds no metric value")


def unpack(texts: Texts, points: PackedPoints) -> RunDetails:
    """Return what was read as the record that leaves this room."""
    return RunDetails(*texts, {key: MetricPoint(*point) for key, point in points.items()})
