"""What lies in one run's folder of a file store: its meta.yaml, params, tags and metrics."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ckpt_migrate.tracking.key_files import read_bounded, read_keys
from ckpt_migrate.tracking.meta_yaml import MAX_BYTES as MAX_META_BYTES
from ckpt_migrate.tracking.meta_yaml import MetaError, parse_meta
from ckpt_migrate.tracking.metric_lines import all_points, last_point
from ckpt_migrate.tracking.records import MetricPoint
from ckpt_migrate.tracking.run_fields import RUN_NAME_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt_migrate.tracking.passed_over import PassedOver

MAX_VALUE_BYTES = 1 << 20
"""Longest param or tag that is read; MLflow's own limits are 6,000 and 8,000 characters."""
MAX_METRIC_BYTES = 64 << 20
"""Longest metric file that is read, well over a million points; parsing it takes ten times its size."""

Texts: TypeAlias = "tuple[dict[str, str], dict[str, str]]"
"""Params and tags."""

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

    def last_points(self, passed_over: PassedOver) -> dict[str, MetricPoint | None]:
        """Return the last point of every metric, sorted by key; None where a file holds none."""
        folder = f"{self.path}/metrics"
        found = read_keys(folder, MAX_METRIC_BYTES, passed_over)
        return {sys.intern(key): _last(f"{folder}/{key}", data, passed_over) for key, data in found}

    def last_point(self, key: str, passed_over: PassedOver) -> MetricPoint | None:
        """Return the last point of one metric, whose key has no `/`; None where there is none."""
        path = f"{self.path}/metrics/{key}"
        try:
            return _last(path, read_bounded(path, MAX_METRIC_BYTES), passed_over)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError):
            return None
        except OSError as error:
            passed_over.add(path, f"cannot be read ({error.strerror or error})")
            return None

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


class LastPoints(Mapping[str, MetricPoint]):
    """The last point of each metric of a run; a file is read when its metric is asked for, all when all are.

    Matching asks most runs for one or two of their metrics, and there may be millions of files.
    """

    __slots__ = ("_folder", "_found", "_is_whole", "_passed_over")

    def __init__(self, folder: RunFolder, passed_over: PassedOver) -> None:
        self._folder = folder
        self._passed_over = passed_over
        self._found: dict[str, MetricPoint | None] = {}
        self._is_whole = False

    def __getitem__(self, key: str) -> MetricPoint:
        if not self._is_whole and key not in self._found:
            if "/" in key:
                self._read_all()
            else:
                self._found[key] = self._folder.last_point(key, self._passed_over)
        point = self._found.get(key)
        if point is None:
            raise KeyError(key)
        return point

    def __iter__(self) -> Iterator[str]:
        self._read_all()
        return (key for key, point in self._found.items() if point is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"LastPoints({dict(self)!r})"

    def _read_all(self) -> None:
        if not self._is_whole:
            self._found = self._folder.last_points(self._passed_over)
            self._is_whole = True


def _last(path: str, data: bytes, passed_over: PassedOver) -> MetricPoint | None:
    point, malformed = last_point(data)
    if point is None or malformed:
        _note(path, malformed, passed_over)
    return point


def _note(where: str, malformed: int, passed_over: PassedOver) -> None:
    passed_over.add(where, f"{malformed} malformed lines" if malformed else "holds no metric value")
