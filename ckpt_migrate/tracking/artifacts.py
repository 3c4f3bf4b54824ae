"""A run's artifacts on this machine: where they lie, also when the store was moved, and which files they are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ckpt_migrate.tracking.passed_over import printable
from ckpt_migrate.tracking.records import ArtifactFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt_migrate.tracking.passed_over import PassedOver
    from ckpt_migrate.tracking.records import Run

MAX_FILES = 10_000
"""Most files listed of one run; what is beyond is noted, not listed."""

_MAX_DEPTH = 64
_BESIDE = ("mlruns", "mlartifacts")  # where MLflow puts artifacts beside a database, and where its server does


@dataclass(frozen=True, slots=True)
class ArtifactPlaces:
    """Where else than at its artifact URI a run's artifacts may lie.

    Attributes:
        inside: Folders that belong to this very run, likeliest first.
        beside: The folder that holds the store, None when it is not on this machine.
    """

    inside: tuple[str, ...] = ()
    beside: str | None = None


def list_artifacts(run: Run, places: ArtifactPlaces, passed_over: PassedOver) -> Sequence[ArtifactFile]:
    """Return the files of the first place that holds any, sorted by path.

    Links are noted and not followed: what they lead to is not the run's own.
    """
    tried: set[str] = set()
    for folder in _candidates(run, places):
        real = os.path.realpath(folder)
        if real in tried or not os.path.isdir(real):
            continue
        tried.add(real)
        found = _walk(folder, passed_over)
        if found:
            return tuple(sorted(found, key=lambda file: file.path))
    return ()


def local_path(artifact_uri: str) -> str | None:
    """Return the path that a local artifact URI names, whether it exists or not; None for remote ones.

    >>> local_path("file:///data/a%20b"), local_path("/data/x"), local_path("s3://bucket/x")
    ('/data/a b', '/data/x', None)
    """
    scheme, colon, rest = artifact_uri.partition(":")
    if not colon or "/" in scheme or "\\" in scheme:
        return artifact_uri
    if scheme != "file":
        return None
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        rest = slash + path if host in ("", "localhost") else ""
    return unquote(rest) or None


def _candidates(run: Run, places: ArtifactPlaces) -> Iterator[str]:
    yield from places.inside
    uri = run.artifact_uri or ""
    parts = [unquote(part) for part in uri.replace("\\", "/").split("/")]
    # MLflow ends every run's artifact URI so; anything else could name any folder of this machine.
    is_usual = parts[-2:] == [run.run_id, "artifacts"]
    path = local_path(uri) if is_usual else None
    if path is not None and os.path.isabs(path):
        yield path
    if places.beside is None:
        return
    tails: list[tuple[str, ...]] = [(run.experiment_id, run.run_id, "artifacts")]
    if is_usual and ".." not in parts:
        tails += [tuple(parts[-3:]), tuple(parts[-4:])]
    for tail in tails:
        for base in ("", *_BESIDE):
            yield os.path.join(places.beside, base, *tail)
        yield os.path.join(os.path.dirname(places.beside), *tail)


def _walk(top: str, passed_over: PassedOver) -> list[ArtifactFile]:
    found: list[ArtifactFile] = []
    folders = [("", 0)]
    while folders:
        prefix, depth = folders.pop()
        folder = os.path.join(top, prefix)
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            passed_over.add(folder, f"cannot be listed ({error.strerror})")
            continue
        for entry in listed:
            if entry.is_symlink():
                passed_over.add(entry.path, "a link among artifacts is not followed")
            elif entry.is_dir(follow_symlinks=False):
                if depth < _MAX_DEPTH:
                    folders.append((f"{prefix}{entry.name}/", depth + 1))
            elif entry.is_file(follow_symlinks=False):
                if len(found) >= MAX_FILES:
                    passed_over.add(top, f"more than {MAX_FILES} artifacts; the rest is not looked at")
                    return found
                size = _size(entry)
                name = printable(prefix + entry.name)
                found.append(ArtifactFile(name, size, os.path.join(folder, entry.name)))
    return found


def _size(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return None  # vanished since the folder was listed; whoever reads it will say so
