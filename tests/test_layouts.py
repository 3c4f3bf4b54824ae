"""The layouts that frameworks and people really have: matched, linked or renamed, found from both sides, undone."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from evidence.torch_format import lightning, zip_file

from ckpt_migrate.cli import run
from ckpt_migrate.errors import EXIT_DONE, EXIT_UNDECIDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from project import Project, Training

    Layout = Callable[[Training], tuple[str, dict[str, str], dict[str, object]]]

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
COUNT = 6
STORE = ("--tracking-uri", "mlruns")


def hydra(training: Training) -> tuple[str, dict[str, str], dict[str, object]]:
    """A run's output folder, as `hydra.run.dir` has it by default."""
    config = yaml.safe_dump({**training.config, "out": "${hydra:runtime.output_dir}"})
    return f"outputs/{training.start:%Y-%m-%d/%H-%M-%S}", {".hydra/config.yaml": config, "last.ckpt": "weights"}, {}


def hydra_sweep(training: Training) -> tuple[str, dict[str, str], dict[str, object]]:
    """A job of a sweep in the most used template: date and time in one name, the job below it."""
    _, files, params = hydra(training)
    return f"logs/train/multiruns/{training.start:%Y-%m-%d_%H-%M-%S}/0", files, params


def ultralytics(training: Training) -> tuple[str, dict[str, str], dict[str, object]]:
    """A numbered folder, which the run's param names."""
    folder = f"runs/detect/train{training.number or ''}"
    table = f"epoch, train/box_loss\n1, {2.9476 + training.number}\n"
    params = {**training.config, "save_dir": f"/content/{folder}"}
    return folder, {"args.yaml": yaml.safe_dump(training.config), "results.csv": table, "weights/best.pt": "w"}, params


def hf_trainer(training: Training) -> tuple[str, dict[str, str], dict[str, object]]:
    """An output folder of any name."""
    folder = f"out/bert-{training.number}"
    state = json.dumps({"global_step": 10, "log_history": [{"step": 10, "loss": 2.9476}]})
    params = {**training.config, "output_dir": f"./{folder}"}
    files = {"config.json": json.dumps(training.config), "checkpoint-10/trainer_state.json": state}
    return folder, files, params


def lightning_mlflow(training: Training) -> tuple[str, dict[str, str], dict[str, object]]:
    """Where Lightning's MLflow logger lets checkpoints go: the run's id is in the path."""
    return f"lightning/1/{training.run_id}/checkpoints", {"last.ckpt": "weights"}, {}


def stamp_folders(training: Training) -> tuple[str, dict[str, str], dict[str, object]]:
    return f"models/{training.stamp}", {"config.json": json.dumps(training.config), "model.pt": "w"}, {}


def name_stamp_folders(training: Training) -> tuple[str, dict[str, str], dict[str, object]]:
    _, files, params = stamp_folders(training)
    return f"models/gat_v2_{training.stamp}", files, params


def uuid_folders(training: Training) -> tuple[str, dict[str, str], dict[str, object]]:
    _, files, params = stamp_folders(training)
    return f"models/{training.uid}", files, {**training.config, "checkpoint_dir": f"models/{training.uid}", **params}


LINKED = {
    "hydra": [hydra, hydra_sweep],
    "ultralytics": [ultralytics],
    "hf_trainer": [hf_trainer],
    "lightning": [lightning_mlflow],
}
RENAMED = {
    "stamp_folders": (stamp_folders, "{run_id}_{stamp}"),
    "name_stamp_folders": (name_stamp_folders, "gat_v2_{run_id}_{stamp}"),
    "uuid_folders": (uuid_folders, "{run_id}"),
}


def make(project: Project, layout: Layout) -> dict[str, str]:
    """Make directories and runs of a layout; return the run of each directory's path."""
    truth = {}
    for number in range(COUNT):
        training = project.training(number)
        folder, files, params = layout(training)
        for name, text in files.items():
            (project.folder / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (project.folder / folder / name).write_text(text)
        project.age(project.folder / folder, training.start + timedelta(hours=1))
        truth[folder] = project.add_run(training, params=params or training.config)
    return truth


def entries() -> list[dict[str, str]]:
    plan = yaml.safe_load(Path("plan.yaml").read_text(encoding="utf-8"))
    found: list[dict[str, str]] = plan["entries"]
    return found


@pytest.mark.parametrize(
    ("recipe", "layout"),
    [(recipe, layout) for recipe, layouts in LINKED.items() for layout in layouts],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_frameworks_folders_keep_their_names_and_name_their_runs(
    recipe: str,
    layout: Layout,
    empty_project: Project,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From plan to rollback: manifests are written and nothing is renamed; `find` answers from both sides."""
    truth = make(empty_project, layout)
    top = next(iter(truth)).partition("/")[0]
    before = empty_project.snapshot()
    options = (*STORE, "--migration", recipe)
    assert run(["plan", top, *options]) == EXIT_DONE
    planned = {entry["checkpoint"]: entry for entry in entries()}
    assert {path: entry["run_id"] for path, entry in planned.items()} == truth
    assert {entry["action"] for entry in planned.values()} == {"repair"}
    assert all(entry["target"] == path for path, entry in planned.items())
    assert run(["apply", "plan.yaml", "--yes"]) == EXIT_DONE
    for folder, run_id in truth.items():
        assert f"MLflow Run ID: {run_id}\n" in Path(folder, "MLFLOW_RUN_ID.txt").read_text(encoding="utf-8")
        capsys.readouterr()
        for query in (run_id, folder):
            assert run(["find", query, "--root", top, *options]) == EXIT_DONE
            told = capsys.readouterr().out
            assert re.findall("checkpoint  (.*)\n", told) == [str(empty_project.folder / folder)]
            assert re.findall("run         ([0-9a-f]{32})", told) == [run_id]
    assert run(["verify", top, *options]) == EXIT_DONE
    assert run(["plan", top, *options, "-o", "again.yaml"]) == EXIT_DONE
    assert yaml.safe_load(Path("again.yaml").read_text(encoding="utf-8"))["summary"]["status"]["linked"] == COUNT
    assert run(["rollback", "latest", "--root", top, "--yes"]) == EXIT_DONE
    os.unlink("again.yaml")
    os.unlink("plan.yaml")
    assert empty_project.snapshot() == before


@pytest.mark.parametrize("recipe", RENAMED)
def test_folders_of_ones_own_scripts_get_the_runs_id(
    recipe: str, empty_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands in the old name stands in the new one; the old name is found for ever, and comes back."""
    layout, form = RENAMED[recipe]
    truth = make(empty_project, layout)
    before = empty_project.snapshot()
    options = (*STORE, "--migration", recipe)
    assert run(["plan", "models", *options]) == EXIT_DONE
    assert {entry["checkpoint"]: entry["run_id"] for entry in entries()} == truth
    assert run(["apply", "plan.yaml", "--yes"]) == EXIT_DONE
    trainings = {empty_project.training(number).run_id: empty_project.training(number) for number in range(COUNT)}
    wanted = {old: form.format(run_id=run_id, stamp=trainings[run_id].stamp) for old, run_id in truth.items()}
    assert sorted(path.name for path in Path("models").iterdir() if path.name != ".ckpt-migrate") == sorted(
        wanted.values()
    )
    assert run(["verify", "models", *options]) == EXIT_DONE
    for old, new in wanted.items():
        capsys.readouterr()
        assert run(["find", old, "--root", "models", *options]) == EXIT_DONE
        assert str(empty_project.folder / "models" / new) in capsys.readouterr().out
    assert run(["rollback", "latest", "--root", "models", "--yes"]) == EXIT_DONE
    os.unlink("plan.yaml")
    assert empty_project.snapshot() == before


def test_a_person_links_what_the_planner_would_not_decide(empty_project: Project) -> None:
    """A numbered folder that nothing names is left to a person, who writes `repair` and a run; rename is refused."""
    training, run_ids = empty_project.training(0), []
    for twin in ("", "b"):
        other = empty_project.training(0, twin)
        run_ids.append(empty_project.add_run(other))
    folder = Path("lightning_logs/version_0")
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "hparams.yaml").write_text(yaml.safe_dump(training.config))
    (folder / "checkpoints" / "last.ckpt").write_bytes(zip_file(lightning({"seed": 0})))
    empty_project.age(folder, training.start)
    options = (*STORE, "--migration", "lightning")
    assert run(["plan", "lightning_logs", *options]) == EXIT_UNDECIDED
    (entry,) = entries()
    assert entry["action"] == "skip"
    text = Path("plan.yaml").read_text(encoding="utf-8").replace("  run_id: null\n", f"  run_id: {run_ids[1]}\n")
    Path("plan.yaml").write_text(text.replace("  action: skip\n", "  action: rename\n", 1), encoding="utf-8")
    assert run(["apply", "plan.yaml", "--yes"]) == 2
    Path("plan.yaml").write_text(text.replace("  action: skip\n", "  action: repair\n", 1), encoding="utf-8")
    assert run(["apply", "plan.yaml", "--yes"]) == EXIT_DONE
    assert run_ids[1] in (folder / "MLFLOW_RUN_ID.txt").read_text(encoding="utf-8")
    assert run(["verify", "lightning_logs", *options]) == EXIT_DONE


def test_a_manifest_of_a_run_that_is_in_no_store_is_never_written_over(empty_project: Project) -> None:
    """The wrong store was given, most likely: another run that fits is shown, and nothing is planned."""
    make(empty_project, hydra)
    first = empty_project.folder / hydra(empty_project.training(0))[0]
    (first / "MLFLOW_RUN_ID.txt").write_text(f"MLflow Run ID: {'7' * 32}\n")
    empty_project.age(first, empty_project.training(0).start + timedelta(hours=1))
    assert run(["plan", "outputs", *STORE, "--migration", "hydra"]) == EXIT_UNDECIDED
    (entry,) = [entry for entry in entries() if entry["checkpoint"].endswith(str(first)[-19:])]
    assert (entry["status"], entry["action"]) == ("ambiguous", "skip")
    assert f"names run {'7' * 32}, which no store here has" in entry["reason"]


def test_only_marked_folders_are_taken_and_sweeps_are_looked_into(empty_project: Project) -> None:
    """A folder of a date and a time without Hydra's own files is none of Hydra's."""
    make(empty_project, hydra_sweep)
    Path("logs/train/runs/2026-02-01_04-12-27").mkdir(parents=True)
    Path("logs/train/multiruns/2026-02-01_04-12-27/.hidden").touch()
    assert run(["scan", "logs", "--migration", "hydra"]) == EXIT_DONE
    assert run(["scan", "logs/train/multiruns/2026-02-01_04-12-27/0", "--migration", "hydra"]) == 2


def test_mlflows_own_folders_are_no_checkpoints(empty_project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither those of artifacts of a store in a database, nor those that Lightning's MLflow logger makes."""
    run_id = empty_project.training(0).run_id
    for inner in (f"mlartifacts/1/{run_id}/artifacts/model", f"lightning/1/{run_id}/checkpoints"):
        Path(inner).mkdir(parents=True)
        (Path(inner) / "model.pt").touch()
    for own in (f"models/{run_id}", f"7/{run_id}"):
        Path(own).mkdir(parents=True)
        (Path(own) / "model.pt").touch()
    assert run(["scan", ".", "--migration", "uuid_folders"]) == EXIT_DONE
    assert re.findall("(?m)^legacy +([^ ]+)", capsys.readouterr().out) == [f"7/{run_id}", f"models/{run_id}"]


def test_a_checkpoint_that_two_runs_call_theirs_is_left_to_a_person(empty_project: Project) -> None:
    """`exist_ok` trains into the same folder twice; the path then names both runs, and no one alone."""
    truth = make(empty_project, ultralytics)
    folder = next(iter(truth))
    again = empty_project.training(0, "again")
    empty_project.add_run(again, params={**again.config, "save_dir": folder})
    assert run(["plan", "runs", *STORE, "--migration", "ultralytics"]) == EXIT_UNDECIDED
    planned = {entry["checkpoint"]: entry for entry in entries()}
    assert planned[folder]["action"] == "skip"
    assert {path: e["run_id"] for path, e in planned.items() if path != folder} == {
        path: run_id for path, run_id in truth.items() if path != folder
    }


def test_the_commands_of_the_readme_answer_for_a_hydra_template(
    empty_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command of the section runs as it stands, and the last two lead from run to folder and back."""
    truth = make(empty_project, hydra_sweep)
    folder, run_id = next(iter(truth.items()))
    shutil.copytree("mlruns", "logs/mlflow/mlruns")
    section = README.partition("**How do I find the checkpoints of a run?**")[2].partition("\n**")[0]
    commands = re.findall(r"^    (?:\$ )?ckpt-migrate (.*?)(?: +#.*)?$", section, re.MULTILINE)
    assert [command.partition(" ")[0] for command in commands] == ["plan", "apply", "find", "find"]
    for command in commands:
        capsys.readouterr()
        words = [{"RUN_ID": run_id, "FOLDER": folder}.get(word, word) for word in command.split()]
        assert run([*words, *(["--yes"] if words[0] == "apply" else [])]) == EXIT_DONE
        told = capsys.readouterr().out
        if words[0] == "find":
            assert f"checkpoint  {empty_project.folder / folder}\n" in told
            assert f"run         {run_id} " in told


def test_a_legacy_name_that_holds_its_runs_id_gets_the_form_of_a_target(empty_project: Project) -> None:
    """Where the two forms differ, `named after its run` is not enough: such a directory is renamed, not repaired.

    When what it would be called is there already, the plan says so; it never offers what apply would refuse.
    """
    shipped = Path(__file__).parents[1] / "migrations" / "phase2_run_id.yaml"
    text = shipped.read_text(encoding="utf-8").replace('target: "{run_id}_{stamp}"', 'target: "run-{run_id}_{stamp}"')
    Path("mine.yaml").write_text(text, encoding="utf-8")
    trainings = [empty_project.training(number) for number in range(3)]
    for training in trainings:
        empty_project.add_directory(training, name=training.target)
        empty_project.add_run(training)
    taken = f"run-{trainings[2].target}"
    empty_project.add_directory(trainings[2], name=taken)
    before = empty_project.snapshot()
    assert run(["plan", "checkpoints/phase2", *STORE, "--migration", "mine.yaml"]) == EXIT_UNDECIDED
    actions = {entry["checkpoint"].rpartition("/")[2]: entry["action"] for entry in entries()}
    assert actions == {
        trainings[0].target: "rename",
        trainings[1].target: "rename",
        trainings[2].target: "skip",
        taken: "repair",
    }
    assert run(["apply", "plan.yaml", "--yes"]) == EXIT_DONE
    root = Path("checkpoints/phase2")
    assert all((root / f"run-{training.target}" / "MLFLOW_RUN_ID.txt").is_file() for training in trainings)
    assert run(["rollback", "latest", "--root", str(root), "--yes"]) == EXIT_DONE
    os.unlink("plan.yaml")
    assert empty_project.snapshot() == before


def test_a_store_that_lies_in_a_directory_tells_whose_run_is_in_it(empty_project: Project) -> None:
    """A job that enters its output folder first has MLflow make `mlruns` there: twins are told apart by it."""
    truth, stores = {}, []
    for job in range(2):
        training = empty_project.training(0, f"job {job}")
        folder = f"multirun/{training.start:%Y-%m-%d/%H-%M-%S}/{job}"
        _, files, _ = hydra(training)
        for name, text in files.items():
            (empty_project.folder / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (empty_project.folder / folder / name).write_text(text)
        truth[folder] = empty_project.add_run(training)
        shutil.move("mlruns", f"{folder}/mlruns")
        empty_project.age(empty_project.folder / folder, training.start + timedelta(hours=1))
        stores += ["--tracking-uri", f"{folder}/mlruns"]
    assert run(["plan", "multirun", *stores, "--migration", "hydra"]) == EXIT_DONE
    assert {entry["checkpoint"]: entry["run_id"] for entry in entries()} == truth


def test_a_store_that_was_copied_with_a_directory_tells_nothing_of_the_copy(empty_project: Project) -> None:
    """Its run says where its artifacts lie: in the directory that the copy was made of, and that wins."""
    training = empty_project.training(0)
    first, copy = (f"multirun/{training.start:%Y-%m-%d/%H-%M-%S}/{job}" for job in (3, 4))
    _, files, _ = hydra(training)
    for name, text in files.items():
        (empty_project.folder / first / name).parent.mkdir(parents=True, exist_ok=True)
        (empty_project.folder / first / name).write_text(text)
    run_id = empty_project.add_run(training)
    meta = Path("mlruns/1") / run_id / "meta.yaml"
    told = f"artifact_uri: file:///home/ana/{first}/mlruns/1/{run_id}/artifacts"
    meta.write_text(re.sub(r"(?m)^artifact_uri:.*$", told, meta.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.move("mlruns", f"{first}/mlruns")
    shutil.copytree(first, copy)
    Path(copy, "last.ckpt").write_text("overwritten")
    for folder in (first, copy):
        empty_project.age(empty_project.folder / folder, training.start + timedelta(hours=1))
    for order in ((first, copy), (copy, first)):
        stores = [word for folder in order for word in ("--tracking-uri", f"{folder}/mlruns")]
        run(["plan", "multirun", *stores, "--migration", "hydra", "--overwrite"])
        assert {entry["checkpoint"]: entry.get("run_id") for entry in entries()} == {first: run_id, copy: None}
