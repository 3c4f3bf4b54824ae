"""References in words: what is edited, what is left alone, what remains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.cli import output
from ckpt_migrate.plan.fields import left_data, reference_data, references_top
from ckpt_migrate.plan.words import count
from ckpt_migrate.references.records import EditAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.references.recheck import Remaining
    from ckpt_migrate.references.records import References

MOST_FILES = 20
MOST_NAMED = 5
"""Files that one line of a summary names."""
FOLLOWS = "follows when its directory is decided"


def reference_lines(references: References) -> list[str]:
    """Return a summary: files to be edited and to be left, then each reason why mentions are left alone."""
    lines = ["At each old name a link to the new one is left."] if references.leave_links else []
    if references.tag_runs:
        lines.append("The runs are tagged in MLflow with where their checkpoints are and were.")
    if not references.paths:
        return lines
    wanted = [file for file in references.files if file.action is EditAction.EDIT]
    edited = [file for file in wanted if not file.follows]
    mentions = sum(len(file.at) for file in edited)
    kept = len(references.files) - len(wanted)
    planned = f"{count(mentions, 'mention')} in {count(len(edited), 'file')} to edit, {count(kept, 'file')} to skip"
    searched = f"{count(references.searched, 'file')} searched, {references.ignored:,} passed over by .gitignore"
    lines.append(f"References: {planned} ({searched}).")
    lines += [f"  {file.file}: {file.note}" for file in edited if file.note is not None][:MOST_FILES]
    if len(wanted) > len(edited):
        where = _named([file.file for file in wanted if file.follows])
        lines.append(f"  {len(wanted) - len(edited):,} more, each of which {FOLLOWS}: {where}")
    for left in references.left:
        lines.append(f"  left alone, {left.kind.value}, {left.count:,}: {left.what}")
        lines.append(f"    {_named(left.where, left.count)}")
    return lines


def _named(names: Sequence[str], total: int | None = None) -> str:
    """Return the first few names in one line, and how many more of `total` there are."""
    more = (len(names) if total is None else total) - len(names[:MOST_NAMED])
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more else "")


def references_data(references: References | None) -> dict[str, object] | None:
    """Return the references for JSON; None when the plan has none."""
    if references is None:
        return None
    files = [reference_data(reference) for reference in references.files]
    return {**references_top(references), "files": files, "left": [left_data(left) for left in references.left]}


def say_remaining(remaining: Sequence[Remaining]) -> None:
    """Print what still mentions old names to standard error."""
    unexpected = [each for each in remaining if not each.is_on_purpose]
    for each in unexpected[:MOST_FILES]:
        output.say(f"Warning: {output.shown(each.path)} still mentions old names ({each.count:,}); not in the plan")
    if len(unexpected) > MOST_FILES:
        output.say(f"Warning: and {len(unexpected) - MOST_FILES:,} more such files")


def remaining_line(remaining: Sequence[Remaining]) -> str:
    """Return the result of the search after apply in one line."""
    if not remaining:
        return "Searched again: no mention of an old name is left."
    on_purpose = [output.shown(each.path) for each in remaining if each.is_on_purpose]
    mention = f"{count(len(remaining), 'file')} still {'mentions' if len(remaining) == 1 else 'mention'} old names"
    says = f"{len(on_purpose):,} of them as the plan says" + (f": {_named(on_purpose)}" if on_purpose else ".")
    return f"Searched again: {mention}, {says}"
