"""The file of a plan: what cannot be written to is refused at once, and what would be lost is never written over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.errors import EXIT_USAGE, PlanError
from ckpt_migrate.plan.file import check_place, save
from ckpt_migrate.plan.write import render_plan
from plan.plans import small_plan

if TYPE_CHECKING:
    from pathlib import Path

TEXT = render_plan(small_plan())
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")


def refusal(path: Path, *, overwrite: bool = False) -> str:
    """Return why a place is refused."""
    with pytest.raises(PlanError) as caught:
        check_place(str(path), [], overwrite=overwrite)
    assert caught.value.exit_code == EXIT_USAGE
    assert "-o" in (caught.value.remedy or "")
    return caught.value.what


def test_a_new_file_and_an_unedited_plan_and_an_empty_file_may_be_written(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    check_place(str(path), [])
    for content in (TEXT, "", render_plan(small_plan(created="2027-01-01T00:00:00Z"))):
        path.write_text(content, encoding="utf-8")
        check_place(str(path), [])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (TEXT.replace("action: skip", "action: rename"), "was edited since it was planned"),
        (TEXT + "# my note\n", "was edited since it was planned"),
        (TEXT[:-10], "was edited since it was planned"),
        ("".join(line for line in TEXT.splitlines(keepends=True) if line[0] != "#"), "was edited since it was planned"),
    ],
)
def test_what_a_person_wrote_is_not_written_over_unless_they_say_so(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(content, encoding="utf-8")
    assert refusal(path) == what
    with pytest.raises(PlanError) as caught:
        check_place(str(path), [])
    assert (caught.value.remedy or "").startswith(f"Give --keep {path} to plan anew with these answers, or ")
    check_place(str(path), [], overwrite=True)


@pytest.mark.parametrize(
    "content",
    [
        b"print('train')\n",
        b"\n",
        bytes(range(256)),
        TEXT.encode() + b"\0",
        b"version: 1\nentries: []\n",
        b"entries of no plan\nseal\nversion\n",
    ],
)
def test_what_is_no_plan_is_never_written_over(tmp_path: Path, content: bytes) -> None:
    """Not even when asked to: weights and databases lie in the same folders, and one wrong -o would end them."""
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    for overwrite in (False, True):
        assert refusal(path, overwrite=overwrite) == "is there, and is no plan that this tool wrote"
    path.write_bytes(b"")
    os.truncate(path, 200_000_000_000)
    assert refusal(path, overwrite=True) == "is there, and is no plan that this tool wrote"


def test_a_folder_that_is_missing_or_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no" / "plan.yaml") == f"there is no folder {tmp_path.resolve()}/no"
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "plan.yaml") == f"there is no folder {tmp_path.resolve()}/file"
    assert refusal(tmp_path) == "is a folder"


def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path) -> None:
    """Replacing /dev/null as the superuser would harm the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(PlanError, match="is no regular file; use -o - for standard output"):
            check_place(str(path), [], overwrite=True)


@as_user
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert refusal(tmp_path / "plan.yaml") == f"no permission to write in {tmp_path.resolve()}"
    finally:
        tmp_path.chmod(0o700)


def test_a_plan_is_written_through_a_link_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "plan.yaml").symlink_to("real.yaml")
    check_place(str(tmp_path / "plan.yaml"), [])
    save(str(tmp_path / "plan.yaml"), "new\n")
    assert (tmp_path / "plan.yaml").is_symlink()
    assert (tmp_path / "real.yaml").read_text(encoding="utf-8") == "new\n"
    assert sorted(os.listdir(tmp_path)) == ["plan.yaml", "real.yaml"]


def test_a_plan_that_cannot_be_written_after_all_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be written"):
        save(str(tmp_path / "gone" / "plan.yaml"), TEXT)
    assert os.listdir(tmp_path) == []
