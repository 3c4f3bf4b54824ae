"""A report says what the plan or the log says, in one file, and writes over nothing but reports."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from ckpt_migrate import api
from ckpt_migrate.errors import EXIT_DONE, EXIT_USAGE, ReportError
from ckpt_migrate.plan.records import Status
from ckpt_migrate.plan.words import BY_HAND
from ckpt_migrate.report.plan_page import HELD_BACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from commands import Ended
    from project import Project

    Call = Callable[..., Ended]


def data_of(text: str) -> Any:
    """Return what the script of a page is given."""
    match = re.search(r'id="data">([^<]*)</script>', text)
    assert match is not None
    return json.loads(gzip.decompress(base64.b64decode(match[1])))


@pytest.fixture
def plan(project: Project) -> str:
    """The project's plan."""
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml")
    assert project.root.is_dir()
    return "plan.yaml"


def test_every_entry_is_on_the_page_with_its_case(project: Project, plan: str) -> None:
    made, entries = api.report(plan), api.read(plan).entries
    data = data_of(made.text)
    assert [row["path"] for row in data["rows"]] == [entry.checkpoint for entry in entries]
    own = project.training(0)
    (row,) = [row for row in data["rows"] if own.legacy in row["path"]]
    assert (row["found"], row["action"], row["name"]) == ("matched", "rename", own.target)
    run_id, confidence, evidence = row["case"]
    assert (run_id, confidence) == (own.run_id, pytest.approx(1, abs=1e-3))
    assert [family for _, family, _ in evidence][-2:] != []
    assert {"reference", "prior"} <= {family for _, family, _ in evidence}
    assert data["runs"][own.run_id]["start"] == f"{own.start:%Y-%m-%dT%H:%M:}26"  # in the zone of the stamps
    assert row["stamp"] == f"{own.start:%Y-%m-%dT%H:%M:%S}"
    assert [(change["place"], change["what"]) for change in data["changes"]] == [
        ("checkpoints/phase2/latest", "a link that will lead nowhere")
    ]
    assert data["command"] == "ckpt-migrate review plan.yaml"
    held = [row["path"] for row in data["rows"] if row["found"] == "held back"]
    assert held == [entry.checkpoint for entry in entries if "deleted in MLflow" in (entry.reason or "")]
    assert len(held) == 1


def test_what_apply_will_do_is_told_in_its_order(project: Project) -> None:
    own = project.training(0)
    (project.folder / "train.sh").write_text(f"python train.py checkpoints/phase2/{own.legacy}/x\n", "utf-8")
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml", references=["train.sh"])
    steps = api.report("plan.yaml").page.steps
    assert steps == (
        "Rename 3 directories; each keeps its modification time.",
        "Write MLFLOW_RUN_ID.txt and a section of README.md into 4 directories.",
        "Edit old names in 2 files that hold them (links among these), listed below.",
        "Leave 3 directories alone.",
        "All of it is logged before it is done: a crash loses nothing, and rollback undoes it.",
    )
    assert all(f"<li>{step}</li>" in api.report("plan.yaml").text for step in steps)


def test_what_names_old_directories_is_on_the_page_line_by_line(project: Project) -> None:
    own = project.training(0)
    (project.folder / "train.sh").write_text(f"# resume\npython train.py checkpoints/phase2/{own.legacy}/x\n", "utf-8")
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml", references=["train.sh"])
    changes = data_of(api.report("plan.yaml").text)["changes"]
    (change,) = [change for change in changes if change["place"] == "train.sh:2"]
    assert (own.legacy in change["before"], own.target in change["after"], change["what"]) == (True, True, "edited")


def test_a_persons_choice_is_on_the_page_as_theirs(project: Project, plan: str) -> None:
    own, other = project.training(0), project.training(1)
    path = project.folder / plan
    path.write_text(path.read_text("utf-8").replace(f"run_id: {own.run_id}\n", f"run_id: {other.run_id}\n"), "utf-8")
    (row,) = [row for row in data_of(api.report(plan).text)["rows"] if own.legacy in row["path"]]
    assert (row["found"], row["case"][:2], row["case"][2]) == ("by hand", [other.run_id, None], [])
    assert row["proposal"][0] == own.run_id
    assert any("the run starts" in doubt for doubt in row["doubts"])


def test_after_an_apply_and_after_its_rollback_the_page_tells_what_became_of_each(project: Project, plan: str) -> None:
    log = api.apply(plan).log
    assert log is not None
    after = data_of(api.report(log).text)
    assert [row["outcome"] for row in after["rows"]].count("renamed") == 3
    assert [row["outcome"] for row in after["rows"]].count("manifests written") == 1
    assert [row["outcome"] for row in after["rows"]].count("left alone") == 3
    (row,) = [row for row in after["rows"] if project.training(0).legacy in row["path"]]
    assert row["case"][2], "the case is still told: the plan is there as it was applied"
    (project.root / project.training(1).target).rename(project.folder / "away")
    assert "gone: neither name is there" in [row["outcome"] for row in data_of(api.report(log).text)["rows"]]
    (project.folder / "away").rename(project.root / project.training(1).target)
    api.rollback(log)
    page = api.report(log)
    assert ("State", "rolled back") in page.page.facts
    assert [row["outcome"] for row in data_of(page.text)["rows"]].count("put back") == 3
    assert data_of(page.text)["command"] == ""


def test_after_an_apply_and_after_its_rollback_the_page_tells_of_each_reference(project: Project) -> None:
    """As the disk has it: also when somebody else has been at the file since, and when the plan is gone."""
    own, script = project.training(0), project.folder / "train.sh"
    script.write_text(f"# resume\npython train.py checkpoints/phase2/{own.legacy}/x\n", "utf-8")
    api.plan("checkpoints", tracking_uri="mlruns", output="plan.yaml", references=["train.sh"])
    log = api.apply("plan.yaml").log
    assert log is not None

    def told(place: str) -> list[tuple[bool, bool, str]]:
        changes = data_of(api.report(log).text)["changes"]
        found = [one for one in changes if one["place"].endswith(place)]
        return [(own.legacy in one["before"], own.target in one["after"], one["what"]) for one in found]

    assert told("train.sh:2") == [(True, True, "edited")]
    edited = script.read_bytes()
    script.write_bytes(edited + b"more\n")
    assert told("train.sh:2") == [(True, True, "changed since by somebody else")]
    script.write_bytes(edited)
    kept = (project.folder / "plan.yaml").read_bytes()
    (project.folder / "plan.yaml").write_text("gone", encoding="utf-8")
    assert told("train.sh") == [(True, True, "edited")]
    (project.folder / "plan.yaml").write_bytes(kept)
    api.rollback(log)
    assert told("train.sh:2") == [(True, True, "put back")]
    script.unlink()
    assert told("train.sh:2") == [(True, True, "not there any more")]


def test_a_log_whose_plan_is_gone_still_tells_its_names(project: Project, plan: str) -> None:
    log = api.apply(plan).log
    assert log is not None
    (project.folder / plan).write_text("gone", encoding="utf-8")
    data = data_of(api.report(log).text)
    assert sorted((row["action"], row["outcome"]) for row in data["rows"]) == [
        *[("rename", "renamed")] * 3,
        ("repair", "manifests written"),
    ]


def test_what_could_become_markup_is_text(project: Project) -> None:
    nasty = "</script><script>alert(1)</script>&<b>"
    project.add_run(project.training(0), name=nasty, params={"a": nasty})
    folder = project.folder / "<img src=x onerror=alert(1)>"
    project.root.parent.rename(folder)
    api.plan(folder.name, tracking_uri="mlruns", output="plan.yaml")
    text = api.report("plan.yaml").text
    before, _, after = text.partition('id="data">')
    outside = before + after.partition("</script>")[2]
    assert "<img" not in outside.partition("<script>")[0]
    assert html.escape(folder.name) in outside
    assert "alert(1)" not in outside.replace(html.escape(folder.name), "")
    assert nasty in json.dumps(data_of(text), ensure_ascii=False)


def test_the_page_allows_its_own_two_scripts_and_no_request(project: Project, plan: str) -> None:
    """Whatever found its way into the page could neither run nor call home."""
    assert project.root.is_dir()
    text = api.report(plan).text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert (rules["default-src"], rules["img-src"]) == ("'none'", "data:")
    library = re.search(r'id="library">([^<]*)<', text)
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    assert library is not None
    assert script is not None
    own = (script[1].encode(), gzip.decompress(base64.b64decode(library[1])))
    digests = (base64.b64encode(hashlib.sha256(one).digest()).decode() for one in own)
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)


def test_the_library_is_the_one_that_its_readme_names() -> None:
    folder = files("ckpt_migrate.report") / "library"
    digest = hashlib.sha256((folder / "echarts.common.min.js").read_bytes()).hexdigest()
    assert f"sha256 {digest}" in (folder / "README.md").read_text("utf-8")


def luminance(color: str) -> float:
    """Return the relative luminance of a colour, 0 to 1, as WCAG 2 defines it."""
    shares = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_what_is_found_has_a_shape_of_its_own_and_a_colour_that_stands_out() -> None:
    """Three to one against the page's ground, in light and dark: what WCAG 2 asks of graphics."""
    script = (files("ckpt_migrate.report") / "page" / "data.js").read_text("utf-8")
    kinds = re.findall(r'^  "([a-z ]+)": \["(#\w{6})", "(#\w{6})", "(M[^"]+)"\]', script, re.MULTILINE)
    known = {status.value for status in Status} | {BY_HAND, HELD_BACK}
    assert {name for name, *_ in kinds} == known
    assert len({shape for *_, shape in kinds}) == len(known)
    for _, light, dark, _ in kinds:
        assert 1.05 / (luminance(light) + 0.05) >= 3
        assert (luminance(dark) + 0.05) / (luminance("#16191d") + 0.05) >= 3


def test_a_page_is_the_same_for_the_same_plan(project: Project, plan: str) -> None:
    assert project.root.is_dir()
    assert api.report(plan).text == api.report(plan).text


def test_nothing_but_a_report_is_written_over(ckpt: Call, project: Project, plan: str) -> None:
    page = project.folder / "report.html"
    for _ in range(2):  # a report may be made anew
        ended = ckpt("report", plan)
        assert ended.code == EXIT_DONE
        assert "7 directories are in report.html (" in ended.out
    ended = ckpt("report", plan, "-o", plan)
    assert (ended.code, "plan.yaml: is there, and is no report" in ended.err) == (EXIT_USAGE, True)
    with pytest.raises(ReportError, match="cannot be written"):
        api.report(plan, output=project.folder / "no" / "such" / "page.html")
    page.write_text("mine", encoding="utf-8")
    assert ckpt("report", plan).code == EXIT_USAGE
    assert page.read_text(encoding="utf-8") == "mine"
    page.unlink()
    data = ckpt("report", plan, "--format", "json").data
    assert data == {"path": "report.html", "source": plan, "bytes": page.stat().st_size, "directories": 7}


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"{}\n"])
def test_what_is_neither_plan_nor_log_is_refused(ckpt: Call, tmp_path: Path, content: bytes) -> None:
    for name in ("x.yaml", "x.jsonl"):
        (tmp_path / name).write_bytes(content)
        ended = ckpt("report", tmp_path / name, "-o", tmp_path / "page.html")
        assert ended.code in {1, EXIT_USAGE}
        assert ended.err.startswith(f"Error: {tmp_path / name}")
    assert not (tmp_path / "page.html").exists()
