"""Manifests: what a migrated directory says of itself, written from what was really done.

Two kinds. A `file` is wholly ours. A `section` is one marked part of a file that belongs to people; all outside the
marks is theirs and is kept byte for byte. One thing of theirs gives way: the naming section that the training
script writes into README.md without marks, when it names another run. It is machine text, known word for word
from the template, and is replaced where it stands; two naming sections that disagree would help nobody.
"""

from __future__ import annotations

import os
import re
import string
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.executor.filestate import read_quietly
from ckpt_migrate.structure import draw_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt_migrate.naming import DirectoryName
    from ckpt_migrate.plan.records import RunFacts
    from ckpt_migrate.recipe import ManifestTemplate, Recipe
    from ckpt_migrate.records import FileStat

BEGIN_MARK = "<!-- ckpt-migrate:begin -->"
END_MARK = "<!-- ckpt-migrate:end -->"
MAX_TEXT_LENGTH = 500
"""Characters of a run's name or a param's value that are shown; MLflow allows 6,000."""
_KEYED_LINES = ("MLflow Run ID", "Checkpoint Dir", "Experiment", "Timestamp")
_IDENTIFYING = {"name": r"[0-9a-f]{32}_[0-9]{8}_[0-9]{6}", "run_id": r"[0-9a-f]{32}", "stamp": r"[0-9]{8}_[0-9]{6}"}
_HEADING = re.compile(r"^#{1,6} .*$", re.MULTILINE)
_MARKED = re.compile(
    rb"(?:^|(?<=\n))" + re.escape(BEGIN_MARK.encode()) + rb"[ \t]*\r?\n.*?" + re.escape(END_MARK.encode()), re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What manifests are about.

    Attributes:
        path: The directory's absolute path after the migration.
        name: The parts of its name.
        run: The run's facts.
        recipe: The recipe, for the names of all manifests and `path_from`.
    """

    path: str
    name: DirectoryName
    run: RunFacts
    recipe: Recipe

    @property
    def basename(self) -> str:
        """The directory's own name."""
        return os.path.basename(self.path)


def checkpoint_dir(path: str, path_from: str) -> str:
    """Return the path that manifests show: from the last component named `path_from` on, else as it is.

    >>> checkpoint_dir("/home/a/checkpoints/phase2/x", "checkpoints")
    'checkpoints/phase2/x'
    """
    parts = path.replace(os.sep, "/").split("/")
    if path_from and path_from in parts[:-1]:
        start = len(parts) - 1 - parts[:-1][::-1].index(path_from) - 1
        return "/".join(parts[start:])
    return "/".join(parts)


def render(template: ManifestTemplate, subject: Subject, files: Sequence[FileStat]) -> str:
    """Return the text of a manifest, without marks; the same input gives the same text.

    Args:
        template: Which manifest.
        subject: What it is about.
        files: The directory's listing.
    """
    run, recipe, basename = subject.run, subject.recipe, subject.basename
    manifests = [manifest.name for manifest in recipe.manifests]
    tree = [harmless(line, limit=0) for line in draw_tree(basename, files, manifests=manifests)]
    values = {
        "run_id": run.run_id,
        "run_name": harmless(run.name.strip()) or "(none)",
        "run_status": harmless(run.status),
        "run_start": run.start or "unknown",
        "experiment": harmless(run.experiment.strip()) or "unknown",
        "experiment_id": harmless(run.experiment_id),
        "artifact_uri": harmless(run.artifact_uri or "") or "unknown",
        "stamp": subject.name.stamp,
        "name": basename,
        "checkpoint_dir": harmless(checkpoint_dir(subject.path, recipe.path_from), limit=0),
        "structure": "\n".join(tree),
        "metrics": _markdown_list({key: repr(value) for key, value in run.metrics.items()}),
        "params": _markdown_list(run.params),
    }
    return string.Template(template.template).substitute(values).rstrip("\n") + "\n"


def harmless(text: str, *, limit: int = MAX_TEXT_LENGTH) -> str:
    r"""Return text from outside as one line that can break neither a terminal nor the markdown around it.

    >>> harmless("a\nb `c` \x1b[31m <!-- x -->")
    "a b 'c' \\x1b[31m <!- - x - ->"
    """
    if not text.isprintable():
        text = "".join(map(_harmless_character, text))
    text = text.replace("`", "'").replace("<!--", "<!- -").replace("-->", "- ->")
    return f"{text[:limit]}…" if limit and len(text) > limit else text


def compose(template: ManifestTemplate, text: str, existing: bytes | None) -> bytes:
    """Return the whole file: `text` alone, or `text` as the marked section of what is there.

    Raises:
        ValueError: What is there is no text, so nothing can be added to it.
    """
    ours = text.encode("utf-8")
    if not template.is_section:
        return ours
    section = f"{BEGIN_MARK}\n".encode() + ours + f"{END_MARK}".encode()
    if not existing:
        return section + b"\n"
    if b"\0" in existing:
        raise ValueError("it is no text file, so no section can be added to it")
    if b"\r\n" in existing:
        section = section.replace(b"\n", b"\r\n")
    newline = b"\r\n" if b"\r\n" in existing else b"\n"
    span = _marked_span(existing) or _stale_span(template, existing)
    if span is not None:
        return existing[: span[0]] + section + existing[span[1] :]
    gap = newline if existing.endswith(b"\n") else newline * 2
    return existing + gap + section + newline


def check(path: str, name: DirectoryName, run: RunFacts, recipe: Recipe) -> tuple[str, ...]:
    """Return what is wrong with the manifests of a directory that is named after its run; nothing when all is right.

    Judged by meaning, not by bytes: today's training script writes such manifests itself, and those are right.
    """
    found: list[str] = []
    subject = Subject(path, name, run, recipe)
    for template in recipe.manifests:
        try:
            data = read_quietly(os.path.join(path, template.name), follow_links=True)
        except FileNotFoundError:
            found.append(f"{template.name} is missing")
            continue
        except OSError as error:
            found.append(f"{template.name} cannot be read ({error.strerror})")
            continue
        found += find_faults(template, data, subject)
    return tuple(found)


def find_faults(template: ManifestTemplate, data: bytes, subject: Subject) -> list[str]:
    """Return what is wrong with one manifest's content."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    text = text.replace("\r\n", "\n")
    expected = render(template, subject, ())
    if template.is_section:
        faults = _section_faults(template, text, expected, subject)
    else:
        faults = _file_faults(text, expected, subject)
    return [f"{template.name} {fault}" for fault in faults]


def _harmless_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\n\r\t\v\f" or category in {"Zl", "Zp", "Zs"}:
        return " "
    if category in {"Cc", "Cf", "Cs", "Co", "Cn"}:
        return ascii(character)[1:-1]
    return character


def _markdown_list(values: Mapping[str, str]) -> str:
    lines = [f"- `{harmless(key)}`: `{harmless(value)}`" for key, value in values.items()]
    return "\n".join(lines) or "none logged"


def _marked_span(data: bytes) -> tuple[int, int] | None:
    """Return where our section stands: the last opening mark that a closing one follows."""
    found: tuple[int, int] | None = None
    start = data.find(BEGIN_MARK.encode())
    while start >= 0:
        match = _MARKED.match(data, start)
        if match is not None:
            found = match.span()
        start = data.find(BEGIN_MARK.encode(), start + 1)
    return found


def _naming_template(template: ManifestTemplate) -> str | None:
    """Return the last section of a template, when it holds nothing but the directory's name and its parts."""
    starts = [match.start() for match in _HEADING.finditer(template.template)]
    if not starts:
        return None
    section = template.template[starts[-1] :].strip("\n")
    fields = {match["named"] or match["braced"] for match in string.Template.pattern.finditer(section)} - {None}
    return section if fields and fields <= _IDENTIFYING.keys() else None


def _stale_span(template: ManifestTemplate, data: bytes) -> tuple[int, int] | None:
    """Return where a naming section stands that was written without marks, word for word but for the ids."""
    section = _naming_template(template)
    if section is None:
        return None
    pattern, position = "", 0
    for match in string.Template.pattern.finditer(section):
        field = match["named"] or match["braced"]
        pattern += re.escape(section[position : match.start()]) + (_IDENTIFYING[field] if field else r"\$")
        position = match.end()
    pattern += re.escape(section[position:])
    match_data = re.search(pattern.replace("\\\n", "\r?\n").encode(), data)
    return None if match_data is None else match_data.span()


def _file_faults(text: str, expected: str, subject: Subject) -> list[str]:
    faults: list[str] = []
    run, basename = subject.run, subject.basename
    wanted = _keyed_lines(expected)
    found = _keyed_lines(text)
    if not wanted and run.run_id not in text:
        return [f"does not name the run {run.run_id}"]
    for key, values in wanted.items():
        if key not in found:
            faults.append(f"has no line {key!r}")
            continue
        if key == "Experiment" and not run.experiment:
            continue  # the store has lost the experiment's name; the training script knew it
        if key == "Checkpoint Dir":
            others = [value for value in found[key] if _last_component(value) != basename]
        else:
            others = [value for value in found[key] if value != values[0]]
        faults += [f"says {key}: {other}, not {values[0]}" for other in others]
    faults += [f"names {other}, not {basename}" for other in _other_names(text, basename, subject.recipe)]
    return faults


def _section_faults(template: ManifestTemplate, text: str, expected: str, subject: Subject) -> list[str]:
    run, basename = subject.run, subject.basename
    span = _marked_span(text.encode("utf-8", "surrogateescape"))
    ours = (
        None if span is None else text.encode("utf-8", "surrogateescape")[span[0] : span[1]].decode("utf-8", "replace")
    )
    naming = _naming_template(template)
    if naming is None:
        if ours is None:
            return ["has no section of ckpt-migrate"]
        return [] if run.run_id in ours else [f"does not name the run {run.run_id} in the section of ckpt-migrate"]
    heading = naming.partition("\n")[0]
    lines = _lines_under(heading, text if ours is None else ours)
    if lines is None:
        return [f"has no section {heading.lstrip('# ')!r}"]
    names = re.findall(_IDENTIFYING["name"], "\n".join(line for line in lines if "=" in line))
    faults = [f"names {other} in its naming section, not {basename}" for other in sorted(set(names) - {basename})]
    if not names:
        faults.append(f"does not name {basename} in its naming section")
    if ours is not None:
        ids = set(re.findall(r"MLflow Run ID\W+([0-9a-f]{32})\b", ours)) if "MLflow Run ID" in expected else set()
        faults += [f"says MLflow Run ID: {other}, not {run.run_id}" for other in sorted(ids - {run.run_id})]
    return faults


def _keyed_lines(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() in _KEYED_LINES:
            found.setdefault(key.strip(), []).append(harmless(value.strip()))
    return found


def _last_component(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/ "))[-1]


def _other_names(text: str, basename: str, recipe: Recipe) -> list[str]:
    sides = [side.strip() for line in text.splitlines() if " = " in line for side in line.split(" = ")]
    return sorted({side for side in sides if side != basename and recipe.target.parse(side) is not None})


def _lines_under(heading: str, text: str) -> list[str] | None:
    lines = text.splitlines()
    title = heading.lstrip("# ").casefold()
    for number, line in enumerate(lines):
        if line.startswith("#") and line.lstrip("# ").rstrip(" #").casefold() == title:
            rest = lines[number + 1 :]
            end = next((i for i, other in enumerate(rest) if _HEADING.match(other)), len(rest))
            return rest[:end]
    return None
