"""What migrated directories say of themselves, and how others' words around it are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import facts

from ckpt_migrate import manifest
from ckpt_migrate.manifest import BEGIN_MARK, END_MARK, Subject
from ckpt_migrate.records import FileStat
from ckpt_migrate.structure import MAX_LINES, MAX_PER_DIRECTORY, draw_tree

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt_migrate.plan.records import RunFacts
    from ckpt_migrate.recipe import ManifestTemplate, Recipe

RUN = "94525c6650a3407985928d7c2f83f9eb"
STAMP = "20260201_044652"
NAME = f"{RUN}_{STAMP}"
OLD = f"ac7c134d5a5a44c4ac38fbc83f650af0_{STAMP}"
EXPERIMENT = "phase2_training_with_pretrained_aligner"
SCRIPT_TXT = f"""MLflow Run ID: {RUN}
Checkpoint Dir: checkpoints/phase2/{NAME}
Experiment: {EXPERIMENT}
Timestamp: {STAMP}

Note: The checkpoint directory name includes the MLflow run_id:
  {NAME} = {NAME}
"""
SCRIPT_NAMING = f"""## Directory Naming Convention

The checkpoint directory name follows Phase 1 convention:
```
{NAME} = {{mlflow_run_id}}_{{timestamp}}
                     = {NAME}
```

This ensures the checkpoint directory and MLflow run are easily matched!"""
SCRIPT_README = f"# Phase 2 Training\n\nRun: {RUN}\n\n{SCRIPT_NAMING}\n\n## More\n\nby a person\n"


@pytest.fixture
def run() -> RunFacts:
    return facts(RUN)


def _subject(recipe: Recipe, run: RunFacts) -> Subject:
    name = recipe.target.parse(NAME)
    assert name is not None
    return Subject(f"/data/checkpoints/phase2/{NAME}", name, run, recipe)


def _templates(recipe: Recipe) -> tuple[ManifestTemplate, ManifestTemplate]:
    text, readme = recipe.manifests
    return text, readme


def _check(folder: Path, recipe: Recipe, run: RunFacts, files: dict[str, str | bytes]) -> tuple[str, ...]:
    directory = folder / NAME
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    name_parts = recipe.target.parse(NAME)
    assert name_parts is not None
    return manifest.check(str(directory), name_parts, run, recipe)


def test_the_text_manifest_is_the_training_scripts_own_to_the_byte(recipe: Recipe, run: RunFacts) -> None:
    assert manifest.render(_templates(recipe)[0], _subject(recipe, run), ()) == SCRIPT_TXT


def test_the_readme_ends_with_the_naming_section_word_for_word(recipe: Recipe, run: RunFacts) -> None:
    text = manifest.render(_templates(recipe)[1], _subject(recipe, run), ())
    assert text.endswith(f"\n\n{SCRIPT_NAMING}\n")
    assert f"`checkpoints/phase2/{NAME}`" in text
    assert "- `learning_rate`: `0.0003`\n- `batch_size`: `16`" in text
    assert "- `train_loss`: `2.9476`" in text


def test_a_run_without_params_and_metrics_says_so(recipe: Recipe, run: RunFacts) -> None:
    bare = replace(run, params={}, metrics={}, artifact_uri=None, name="", start=None, experiment="")
    text = manifest.render(_templates(recipe)[1], _subject(recipe, bare), ())
    assert text.count("none logged") == 2
    assert "- **Run Name**: (none)" in text
    assert "- **Experiment**: unknown" in text


def test_what_was_rendered_is_found_right(tmp_path: Path, recipe: Recipe, run: RunFacts) -> None:
    subject = _subject(recipe, run)
    files = {
        template.name: manifest.compose(template, manifest.render(template, subject, ()), None)
        for template in recipe.manifests
    }
    assert _check(tmp_path, recipe, run, {**files}) == ()


def test_what_the_training_script_wrote_is_found_right(tmp_path: Path, recipe: Recipe, run: RunFacts) -> None:
    """It has no marks, another title and other sections; only its meaning counts. Line ends do not matter either."""
    crlf = SCRIPT_README.replace("\n", "\r\n")
    assert _check(tmp_path, recipe, run, {"MLFLOW_RUN_ID.txt": SCRIPT_TXT, "README.md": crlf}) == ()


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (f"MLflow Run ID: {RUN}", f"MLflow Run ID: {'0' * 32}", f"says MLflow Run ID: {'0' * 32}, not {RUN}"),
        (f"Checkpoint Dir: checkpoints/phase2/{NAME}", f"Checkpoint Dir: checkpoints/phase2/{OLD}/", f"{OLD}/, not"),
        (f"Experiment: {EXPERIMENT}", "Experiment: other", "says Experiment: other, not"),
        (f"Timestamp: {STAMP}", "Timestamp: 20260201_044651", "says Timestamp: 20260201_044651, not"),
        (f"  {NAME} = {NAME}", f"  {OLD} = {OLD}", f"names {OLD}, not {NAME}"),
        (f"MLflow Run ID: {RUN}\n", "", "has no line 'MLflow Run ID'"),
    ],
)
def test_each_wrong_line_is_a_finding(
    tmp_path: Path, recipe: Recipe, run: RunFacts, *, old: str, new: str, finding: str
) -> None:
    assert old in SCRIPT_TXT
    found = _check(
        tmp_path, recipe, run, {"MLFLOW_RUN_ID.txt": SCRIPT_TXT.replace(old, new), "README.md": SCRIPT_README}
    )
    assert len(found) == 1
    assert finding in found[0]


def test_the_folder_above_may_be_another(tmp_path: Path, recipe: Recipe, run: RunFacts) -> None:
    """Trees are moved and mounted elsewhere; only the directory's own name counts, also as Windows writes it."""
    moved = SCRIPT_TXT.replace("checkpoints/phase2/", "D:\\ckpt\\")
    assert _check(tmp_path, recipe, run, {"MLFLOW_RUN_ID.txt": moved, "README.md": SCRIPT_README}) == ()


def test_a_lost_experiment_name_is_not_held_against_a_manifest(tmp_path: Path, recipe: Recipe, run: RunFacts) -> None:
    lost = replace(run, experiment="")
    assert _check(tmp_path, recipe, lost, {"MLFLOW_RUN_ID.txt": SCRIPT_TXT, "README.md": SCRIPT_README}) == ()


def test_missing_and_unreadable_manifests_are_findings(tmp_path: Path, recipe: Recipe, run: RunFacts) -> None:
    assert _check(tmp_path, recipe, run, {}) == ("MLFLOW_RUN_ID.txt is missing", "README.md is missing")
    directory = tmp_path / NAME
    (directory / "README.md").mkdir()
    (directory / "MLFLOW_RUN_ID.txt").write_bytes(b"\xff\xfe\x00binary")
    name = recipe.target.parse(NAME)
    assert name is not None
    found = manifest.check(str(directory), name, run, recipe)
    assert "MLFLOW_RUN_ID.txt has no line 'MLflow Run ID'" in found
    assert any(finding.startswith("README.md cannot be read") for finding in found)


def test_a_readme_without_a_naming_section_is_a_finding(tmp_path: Path, recipe: Recipe, run: RunFacts) -> None:
    found = _check(tmp_path, recipe, run, {"MLFLOW_RUN_ID.txt": SCRIPT_TXT, "README.md": "# Notes\n"})
    assert found == ("README.md has no section 'Directory Naming Convention'",)


def test_a_stale_naming_section_gives_way_where_it_stands(recipe: Recipe, run: RunFacts) -> None:
    """The script's words for another run are replaced; every other byte of the file stays, and then all is right."""
    template, subject = _templates(recipe)[1], _subject(recipe, run)
    stale = SCRIPT_README.replace(NAME, OLD)
    assert manifest.find_faults(template, stale.encode(), subject) == [
        f"README.md names {OLD} in its naming section, not {NAME}"
    ]
    section = manifest.render(template, subject, ())
    new = manifest.compose(template, section, stale.encode())
    before, after = stale.split(SCRIPT_NAMING.replace(NAME, OLD))
    assert new == f"{before}{BEGIN_MARK}\n{section}{END_MARK}{after}".encode()
    assert manifest.find_faults(template, new, subject) == []


def test_a_run_named_like_an_old_directory_is_not_stale(recipe: Recipe, run: RunFacts) -> None:
    """Old runs bear the old directory's name; that it stands in the run's information is the truth."""
    template, named = _templates(recipe)[1], replace(run, name=OLD, params={"out": f"{OLD} = {OLD}"})
    subject = _subject(recipe, named)
    data = manifest.compose(template, manifest.render(template, subject, ()), b"notes\n")
    assert manifest.find_faults(template, data, subject) == []


@given(
    before=st.binary(max_size=80).filter(lambda data: b"\0" not in data),
    after=st.binary(max_size=80).filter(lambda data: b"\0" not in data),
)
def test_others_bytes_are_kept_whatever_they_are(recipe: Recipe, before: bytes, after: bytes) -> None:
    """Around the section nothing changes: not on the first writing, not on the next."""
    template = _templates(recipe)[1]
    first = manifest.compose(template, "one\n", before)
    assert first.startswith(before)
    second = manifest.compose(template, "two\n", first + after)
    assert second.startswith(before)
    assert second.endswith(after)
    assert b"one\n" not in second.replace(before, b"", 1)[: -len(after) or None]


@pytest.mark.parametrize(
    "existing",
    [
        f"a\n{BEGIN_MARK}\nnever closed\n",
        f"{END_MARK}\nin the wrong order\n{BEGIN_MARK}\n",
        f"spoken of: `{BEGIN_MARK}` and `{END_MARK}`\n",
    ],
)
def test_stray_marks_of_others_are_text(recipe: Recipe, existing: str) -> None:
    """Marks that are no whole section are the owner's words: kept, and our section is found beside them."""
    template = _templates(recipe)[1]
    first = manifest.compose(template, "one\n", existing.encode())
    assert first.startswith(existing.encode())
    second = manifest.compose(template, "two\n", first)
    assert second == first.replace(b"one\n", b"two\n")


def test_a_file_of_windows_line_ends_keeps_them(recipe: Recipe) -> None:
    data = manifest.compose(_templates(recipe)[1], "one\n", b"a\r\nb")
    assert data == f"a\r\nb\r\n\r\n{BEGIN_MARK}\r\none\r\n{END_MARK}\r\n".encode()


def test_what_is_no_text_gets_no_section(recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="no text file"):
        manifest.compose(_templates(recipe)[1], "one\n", "notes".encode("utf-16"))


@given(st.text(max_size=60))
def test_text_from_outside_is_one_harmless_line(text: str) -> None:
    line = manifest.harmless(text)
    assert len(line.splitlines()) <= 1
    assert line.isprintable()
    assert "`" not in line
    assert "<!--" not in line
    assert "-->" not in line
    assert manifest.harmless(line) == line


def test_a_hostile_run_cannot_break_out_of_its_place(recipe: Recipe, run: RunFacts) -> None:
    """Newlines, fences, marks and escapes in names and params stay inside their line, and the file stays ours."""
    evil = f"x\n```\n# Title\n{END_MARK}\x1b[2J\u202e`{OLD}`"
    hostile = replace(run, name=evil, experiment=evil, params={evil: evil}, artifact_uri=evil, status=evil)
    subject = _subject(recipe, hostile)
    for template in recipe.manifests:
        files = (FileStat("a\n`b", "file", 1, 0),)
        text = manifest.render(template, subject, files)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\n# Title" not in text
        data = manifest.compose(template, text, b"" if template.is_section else None)
        assert manifest.find_faults(template, data, subject) == []
        again = manifest.compose(template, text, data if template.is_section else None)
        assert again == data


def test_a_long_value_is_cut(recipe: Recipe, run: RunFacts) -> None:
    text = manifest.render(_templates(recipe)[1], _subject(recipe, replace(run, params={"k": "v" * 6000})), ())
    assert f"- `k`: `{'v' * manifest.MAX_TEXT_LENGTH}…`" in text


@pytest.mark.parametrize(
    ("path", "start", "shown"),
    [
        ("/a/checkpoints/phase2/x", "checkpoints", "checkpoints/phase2/x"),
        ("/checkpoints/a/checkpoints/x", "checkpoints", "checkpoints/x"),
        ("/a/models/x", "checkpoints", "/a/models/x"),
        ("/a/b/checkpoints", "checkpoints", "/a/b/checkpoints"),
        ("/a/b/x", "", "/a/b/x"),
    ],
)
def test_the_shown_path_begins_at_the_named_folder(path: str, start: str, shown: str) -> None:
    assert manifest.checkpoint_dir(path, start) == shown


def test_the_structure_is_sorted_and_shows_hidden_files_and_both_manifests() -> None:
    files = [
        FileStat("z.pt", "file", 1_234_567, 0),
        FileStat(".hidden", "file", 0, 0),
        FileStat("inner", "dir", 0, 0),
        FileStat("inner/last.ckpt", "file", 999, 0),
        FileStat("link", "link", 0, 0),
        FileStat("README.md", "file", 77, 0),
    ]
    assert draw_tree("d", files, manifests=("MLFLOW_RUN_ID.txt", "README.md")) == [
        "d/",
        "├── .hidden (0 B)",
        "├── MLFLOW_RUN_ID.txt",
        "├── README.md",
        "├── inner/",
        "│   └── last.ckpt (999 B)",
        "├── link (link)",
        "└── z.pt (1.2 MB)",
    ]


def test_long_listings_are_cut() -> None:
    many = [FileStat(f"{i:04}", "file", 1, 0) for i in range(1000)]
    lines = draw_tree("d", many, manifests=())
    assert len(lines) == MAX_PER_DIRECTORY + 2
    assert lines[-1] == f"└── … {1000 - MAX_PER_DIRECTORY} more"
    wide = [FileStat(f"{i:02}", "dir", 0, 0) for i in range(30)]
    wide += [FileStat(f"{i:02}/{j:02}", "file", 1, 0) for i in range(30) for j in range(30)]
    lines = draw_tree("d", wide, manifests=())
    assert len(lines) <= MAX_LINES + 1
    assert lines[-1].endswith("more lines")
