"""Recipes: what a migration is about, as data.

A recipe is a YAML file in `migrations/` (or a user's own). It says what names look like, where evidence lies,
which keys name another run's checkpoint, and what the manifests contain. It holds no code.
"""

from __future__ import annotations

import hashlib
import os
import stat
import string
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING

from ckpt_migrate.errors import RecipeError
from ckpt_migrate.naming import NameForm, check_renaming, check_template
from ckpt_migrate.strict_yaml import Field, Problems, compose

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt_migrate.naming import DirectoryName

RECIPE_VERSION = 1
DEFAULT_RECIPE = "phase2_run_id"
MAX_RECIPE_BYTES = 1 << 20
"""Largest recipe read, bytes; the shipped ones have some five thousand."""
MANIFEST_FIELDS = frozenset(
    {
        "run_id", "run_name", "run_status", "run_start", "experiment", "experiment_id", "artifact_uri",
        "stamp", "name", "checkpoint_dir", "structure", "metrics", "params",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ManifestTemplate:
    """A manifest of a migrated directory.

    Attributes:
        name: File name in the checkpoint directory.
        is_section: True when the file belongs to people and holds one marked section of ours.
        template: `string.Template` text over `MANIFEST_FIELDS`.
    """

    name: str
    is_section: bool
    template: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """A migration recipe; patterns are shell patterns (`*`, `?`), matched without regard to case.

    Attributes:
        name: As the user calls it.
        source: Path of the file.
        digest: SHA-256 of the file's bytes, hexadecimal.
        description: One paragraph for people.
        legacy: Form of the names to be migrated.
        target: Form of the names afterwards; `legacy` itself where names are left.
        is_link: Whether names are left as a framework made them, and directories are linked to their runs by their
            manifests alone.
        marks: Of these, a directory must hold one to be taken for a checkpoint; empty: its name is enough.
        configs: Files in the directory that hold the training config.
        weights: Files that make a directory a checkpoint directory; loose ones are reported.
        pointers: Files in which a directory names its own run.
        reference_tags: Tags of a run whose value may name its own checkpoint directory.
        reference_params: Params likewise.
        other_run_keys: Tags, params and config keys that name ANOTHER run's checkpoint.
        experiments: Experiments whose runs make such checkpoints; empty: all.
        ignored_params: Params that say nothing about identity (paths, devices, worker counts).
        main_params: Params that manifests show.
        final_metrics: Metrics that manifests show.
        path_from: Directory name at which the path written into manifests begins.
        manifests: What is written into each migrated directory.
    """

    name: str
    source: str
    digest: str
    description: str
    legacy: NameForm
    target: NameForm
    is_link: bool
    marks: tuple[str, ...]
    configs: tuple[str, ...]
    weights: tuple[str, ...]
    pointers: tuple[str, ...]
    reference_tags: tuple[str, ...]
    reference_params: tuple[str, ...]
    other_run_keys: tuple[str, ...]
    experiments: tuple[str, ...]
    ignored_params: tuple[str, ...]
    main_params: tuple[str, ...]
    final_metrics: tuple[str, ...]
    path_from: str
    manifests: tuple[ManifestTemplate, ...]

    def parse(self, path: str) -> DirectoryName | None:
        """Return the parts of a directory's name, legacy or target; None when it is of neither form.

        Args:
            path: Its name; with the folders above it where a form is spread over several.
        """
        return self.target.parse(path) or self.legacy.parse(path)

    def target_of(self, path: str, run_id: str) -> str | None:
        """Return the path of a directory after the migration to a run; None when its name is of no known form.

        >>> load_recipe("phase2_run_id").target_of(f"phase2/{'0' * 32}_20260201_041227", "9" * 32)
        'phase2/99999999999999999999999999999999_20260201_041227'
        """
        name = self.parse(path)
        if name is None or self.is_link:
            return None if name is None else path
        folder, slash, _ = path.rpartition("/")
        return folder + slash + self.target.format(uid=run_id, stamp=name.stamp, label=name.label)

    def name_after(self, path: str, run_id: str) -> DirectoryName | None:
        """Return the name of a directory that is migrated to a run, in its parts; None when it is not named so."""
        name = self.target.parse(path)
        if name is not None and self.is_link:
            return replace(name, uid=run_id) if name.uid in {"", run_id} else None
        return name if name is not None and name.uid == run_id else None


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that ship with the package, sorted."""
    folder = _shipped_folder()
    return tuple(sorted(name[: -len(".yaml")] for name in os.listdir(folder) if name.endswith(".yaml")))


def recorded_name(recipe: Recipe, given: str) -> str:
    """Return what plans and logs call a recipe that was asked for so: its name, or its file's absolute path."""
    return recipe.name if given == recipe.name else os.path.abspath(recipe.source)


def load_recipe(name_or_path: str = DEFAULT_RECIPE) -> Recipe:
    """Read and validate a recipe.

    Args:
        name_or_path: A shipped recipe's name, or the path of a file (there is one, or it ends in .yaml).

    Raises:
        RecipeError: There is no such recipe, or it is wrong; every problem is listed with its line.
    """
    path = name_or_path
    # A shipped name comes first: a file of that name lying around must not change what a plan means.
    if name_or_path in recipe_names() or not _is_path(name_or_path):
        path = os.path.join(_shipped_folder(), f"{name_or_path}.yaml")
    try:
        data = _read(path)
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError("the recipe is not UTF-8", where=path, remedy="Save it as UTF-8.") from error
    except (OSError, ValueError) as error:
        known = ", ".join(recipe_names())
        remedy = f"Shipped recipes: {known}. A recipe of your own is given as the path of a .yaml file."
        what = f"no such recipe ({getattr(error, 'strerror', None) or error})"
        raise RecipeError(what, where=name_or_path, remedy=remedy) from error
    problems = Problems()
    recipe = _parse(text, path, hashlib.sha256(data).hexdigest(), problems)
    if problems.count or recipe is None:
        raise RecipeError(
            "the recipe is not valid",
            where=path,
            problems=problems.lines(),
            remedy="Compare with `ckpt-migrate recipes phase2_run_id`, which explains every key.",
        )
    return recipe


def _read(path: str) -> bytes:
    """Return the bytes of a recipe, from a regular file of bounded length: nothing waits or fills the memory."""
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise RecipeError("is no regular file", where=path, remedy="Give the path of a recipe's .yaml file.")
        data = file.read(MAX_RECIPE_BYTES + 1)
    if len(data) > MAX_RECIPE_BYTES:
        what = f"is larger than {MAX_RECIPE_BYTES >> 10:,} KiB, so it is no recipe"
        raise RecipeError(what, where=path, remedy="Give the path of a recipe's .yaml file.")
    return data


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe would otherwise wait for a writer for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _is_path(text: str) -> bool:
    return text.endswith((".yaml", ".yml")) or os.sep in text or os.path.isfile(text)


def _shipped_folder() -> str:
    """Return the folder of shipped recipes: inside the wheel, or beside the package in a source checkout."""
    package = resources.files("ckpt_migrate")
    inside = os.path.join(str(package), "migrations")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(str(package)), "migrations")


def _parse(text: str, path: str, digest: str, problems: Problems) -> Recipe | None:
    top = compose(text, problems)
    if top is None:
        return None
    keys = top.mapping(
        required=("version", "name", "description", "names", "evidence", "manifests"),
        optional=("references", "params", "metrics", "experiments", "action"),
    )
    if "version" in keys and keys["version"].integer() != RECIPE_VERSION:
        keys["version"].refuse(f"this version of the tool reads recipes of version {RECIPE_VERSION}")
    sections = _Sections(keys)
    is_link = _is_link(keys.get("action"))
    names = sections.mapping("names", required=("legacy",) if is_link else ("legacy", "target"))
    legacy, target = _forms(names, is_link=is_link)
    evidence = sections.mapping("evidence", optional=("configs", "weights", "pointers", "marks"))
    references = sections.mapping("references", optional=("tags", "params", "other_run"))
    params = sections.mapping("params", optional=("ignore", "main"))
    metrics = sections.mapping("metrics", optional=("final",))
    manifests = sections.mapping("manifests", required=("files",), optional=("path_from",))
    return Recipe(
        name=sections.text("name"),
        source=path,
        digest=digest,
        description=" ".join(sections.text("description").split()),
        legacy=legacy,
        target=target,
        is_link=is_link,
        marks=_texts(evidence.get("marks"), _relative),
        configs=_texts(evidence.get("configs"), _relative),
        weights=_texts(evidence.get("weights"), _relative),
        pointers=_texts(evidence.get("pointers"), _relative),
        reference_tags=_texts(references.get("tags")),
        reference_params=_texts(references.get("params")),
        other_run_keys=_texts(references.get("other_run")),
        experiments=_texts(keys.get("experiments")),
        ignored_params=_texts(params.get("ignore")),
        main_params=_texts(params.get("main")),
        final_metrics=_texts(metrics.get("final")),
        path_from=manifests["path_from"].text() if "path_from" in manifests else "",
        manifests=_manifests(manifests.get("files")),
    )


@dataclass(frozen=True, slots=True)
class _Sections:
    keys: dict[str, Field]

    def mapping(self, key: str, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> dict[str, Field]:
        return self.keys[key].mapping(required=required, optional=optional) if key in self.keys else {}

    def text(self, key: str) -> str:
        return self.keys[key].text() if key in self.keys else ""


def _is_link(field: Field | None) -> bool:
    action = "rename" if field is None else field.text()
    if field is not None and action not in {"rename", "link"}:
        field.refuse("must be `rename` or `link` (names are left, manifests name the run)")
    return action == "link"


def _forms(names: dict[str, Field], *, is_link: bool) -> tuple[NameForm, NameForm]:
    """Return the forms of legacy and target names; the same one where names are left."""
    legacy = names.get("legacy")
    if is_link and legacy is not None and legacy.is_list:
        items = legacy.sequence()
        if not items:
            legacy.refuse("must have at least one form")
        templates = [_template(item, is_path=True) for item in items] or [""]
        form = NameForm(templates[0], tuple(templates[1:]))
        return form, form
    before = _template(legacy, is_path=is_link)
    if is_link:
        return NameForm(before), NameForm(before)
    target = names.get("target")
    after = _template(target, is_path=False)
    # What is wrong in a template makes no sense in a pair.
    if legacy is not None and target is not None and not check_template(before) and not check_template(after):
        for problem in check_renaming(before, after):
            (target if problem.startswith("target") else legacy).refuse(problem.partition(" ")[2])
    return NameForm(before), NameForm(after)


def _template(field: Field | None, *, is_path: bool) -> str:
    template = "" if field is None else field.text()
    if field is not None and template:
        for problem in check_template(template, is_path=is_path):
            field.refuse(problem)
    return template


def _texts(field: Field | None, read: Callable[[Field], str] = Field.text) -> tuple[str, ...]:
    items = [] if field is None else field.sequence()
    return tuple(read(item) for item in items)


def _relative(field: Field) -> str:
    path = field.text()
    if path.startswith("/") or ".." in path.split("/"):
        field.refuse("must be a path inside the checkpoint directory")
    return path


def _manifests(field: Field | None) -> tuple[ManifestTemplate, ...]:
    if field is None:
        return ()
    found: list[ManifestTemplate] = []
    for item in field.sequence():
        keys = item.mapping(required=("name", "kind", "template"))
        if len(keys) != len(("name", "kind", "template")):
            continue
        name, kind, template = keys["name"].text(), keys["kind"].text(), keys["template"].text()
        if "/" in name or name in {"", ".", ".."}:
            keys["name"].refuse("must be a file name, without /")
        if kind not in {"file", "section"}:
            keys["kind"].refuse("must be `file` (wholly ours) or `section` (our part of a file of the user's)")
        if name in {manifest.name for manifest in found}:
            keys["name"].refuse("stands twice")
        _check_template_fields(keys["template"], template)
        found.append(ManifestTemplate(name, kind == "section", template))
    return tuple(found)


def _check_template_fields(field: Field, template: str) -> None:
    for match in string.Template.pattern.finditer(template):
        name = match["named"] or match["braced"]
        if name is not None and name not in MANIFEST_FIELDS:
            field.refuse(f"unknown field ${name}; known: {', '.join(sorted(MANIFEST_FIELDS))}")
        if match["invalid"] is not None:
            field.refuse("a lone $ stands in the template; write $$ for a dollar sign")
