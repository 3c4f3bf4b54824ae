"""File stores as versions, platforms, people and accidents leave them."""

from __future__ import annotations

import math
import os
import re
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.errors import StoreError, StoreNotFoundError
from ckpt_migrate.tracking import filestore, open_stores
from ckpt_migrate.tracking.experiment_folder import is_file_store
from tracking.file_store_maker import META, OTHER, RUN, add_experiment, add_run, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt_migrate.tracking.records import Run, RunDetails, RunStore


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """An empty store with one experiment, 1."""
    add_experiment(tmp_path / "mlruns")
    return tmp_path / "mlruns"


def opened(store: Path) -> RunStore:
    return open_stores([str(store)])


def only_run(store: Path) -> tuple[Run, RunDetails]:
    reader = opened(store)
    (run,) = reader.runs()
    assert not reader.warnings
    return run, reader.details([run.run_id])[run.run_id]


def warned(reader: RunStore) -> str:
    return "\n".join(f"{warning.where}: {warning.what}" for warning in reader.warnings)


def test_a_run_of_todays_form_is_read_whole(store: Path) -> None:
    add_run(
        store,
        params={"lr": "2e-4", "model/width": "64", "empty": ""},
        tags={"mlflow.user": "me"},
        metrics={"loss": "1700000001000 2.5 0\n1700000002000 1.5 1\n"},
    )
    run, details = only_run(store)
    assert (run.run_id, run.name, run.experiment_id, run.experiment) == (RUN, "brave-ox-1", "1", "phase2")
    assert (run.status, run.is_deleted) == ("FINISHED", False)
    assert (run.start_utc_ms, run.end_utc_ms) == (1_700_000_000_000, 1_700_000_060_000)
    assert run.artifact_uri == f"file:///x/1/{RUN}/artifacts"
    assert run.store == str(store)
    assert details.params == {"lr": "2e-4", "model/width": "64", "empty": ""}
    assert details.tags == {"mlflow.user": "me"}
    point = details.metrics["loss"]
    assert (point.value, point.step, point.timestamp_utc_ms) == (1.5, 1, 1_700_000_002_000)


def test_a_run_of_mlflow_0x_is_read(store: Path) -> None:
    """Integer ids, run_uuid alone, no lifecycle, Windows paths, newlines behind params, seconds in metrics."""
    add_experiment(store, "0", meta="artifact_location: ..\\0\nexperiment_id: 0\nname: Default\n")
    meta = (
        f"artifact_uri: ..\\0\\{RUN}\\artifacts\nend_time: 1528384239860\nentry_point_name: ''\nexperiment_id: 0\n"
        f"name: Run 0\nrun_uuid: {RUN}\nsource_type: 4\nstart_time: 1528384239768\nstatus: 3\ntags: []\n"
    )
    metrics = {"foo": "1528384239 0.25\n1528384241 2.5\n"}
    add_run(store, experiment="0", meta=meta, params={"param1": "5\n"}, metrics=metrics)
    run, details = only_run(store)
    assert (run.name, run.experiment_id, run.experiment) == ("Run 0", "0", "Default")
    assert run.artifact_uri == f"..\\0\\{RUN}\\artifacts"
    assert details.params == {"param1": "5"}
    assert details.metrics["foo"].timestamp_utc_ms == 1_528_384_241_000
    assert details.metrics["foo"].value == 2.5


def test_a_newline_that_a_later_version_logged_is_kept(store: Path) -> None:
    add_run(store, params={"text": "two\nlines\n"})
    assert only_run(store)[1].params == {"text": "two\nlines\n"}


def test_ids_are_read_from_either_key(store: Path) -> None:
    add_run(store, meta=META.format(run_id=RUN, experiment="1").replace(f"run_uuid: {RUN}\n", ""))
    add_run(store, OTHER, meta=META.format(run_id=OTHER, experiment="1").replace(f"run_id: {OTHER}\n", ""))
    assert [run.run_id for run in opened(store).runs()] == sorted((RUN, OTHER))


def test_the_name_may_stand_in_the_tag_alone(store: Path) -> None:
    meta = META.format(run_id=RUN, experiment="1").replace("run_name: brave-ox-1", "name: ''")
    add_run(store, meta=meta, tags={"mlflow.runName": "phase2_20260201_041227"})
    assert only_run(store)[0].name == "phase2_20260201_041227"


@pytest.mark.parametrize(
    ("status", "name"),
    [("1", "RUNNING"), ("FAILED", "FAILED"), ("5", "KILLED"), ("9", "UNKNOWN"), ("null", "UNKNOWN")],
)
def test_the_status_may_be_a_number_or_a_name(store: Path, status: str, name: str) -> None:
    add_run(store, meta=META.format(run_id=RUN, experiment="1").replace("status: 3", f"status: {status}"))
    assert only_run(store)[0].status == name


def test_deleted_runs_and_runs_of_deleted_experiments_are_deleted(store: Path) -> None:
    add_run(store, meta=META.format(run_id=RUN, experiment="1").replace("stage: active", "stage: deleted"))
    add_experiment(store / ".trash", "2", "gone")
    add_run(store / ".trash", OTHER, experiment="2")
    runs = opened(store).runs()
    assert [(run.run_id, run.is_deleted, run.experiment) for run in runs] == [
        (OTHER, True, "gone"),
        (RUN, True, "phase2"),
    ]


def test_an_experiment_without_meta_yaml_loses_its_name_not_its_runs(store: Path) -> None:
    add_run(store, experiment="77", params={"lr": "1"})
    reader = opened(store)
    (run,) = reader.runs()
    assert (run.experiment_id, run.experiment) == ("77", "")
    assert "name is lost" in warned(reader)


def test_what_only_looks_like_a_run_is_none(store: Path) -> None:
    """Traces, logged models, artifacts of a database's run, the registry, hidden folders, loose files."""
    hexadecimal = "f" * 32
    add_run(store)
    write(store / "1" / "traces" / hexadecimal / "trace_info.yaml", "request_id: x\n")
    write(store / "1" / "models" / f"m-{hexadecimal}" / "meta.yaml", "model_id: x\n")
    write(store / "1" / hexadecimal / "artifacts" / "model.pt", "x")
    write(store / "1" / ("e" * 32), "a file")
    write(store / "1" / ".ipynb_checkpoints" / "x", "")
    write(store / "1" / "tags" / "note", "of the experiment")
    write(store / "models" / "registered" / "meta.yaml", "name: registered\n")
    write(store / "1" / RUN / "outputs" / f"m-{hexadecimal}" / "meta.yaml", "step: 0\n")
    write(store / "notes.txt", "")
    only_run(store)


@pytest.mark.parametrize(
    ("meta", "why"),
    [
        (b"", "empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"run_id: [unclosed\n", "not YAML"),
        (b"- a\n- b\n", "list"),
        (b"a: &a [1]\nb: *a\n", "aliases"),
        (b"a: " + b"[" * 5000, "deep"),
        (b"x" * 300_000, "longer than"),
        (META.format(run_id=OTHER, experiment="1").encode(), OTHER),
        (b"name: x\n", "names no run"),
    ],
)
def test_a_malformed_run_is_named_and_the_rest_is_read(store: Path, meta: bytes, why: str) -> None:
    add_run(store, "a" * 32, meta=meta)
    add_run(store)
    reader = opened(store)
    assert [run.run_id for run in reader.runs()] == [RUN]
    assert why in warned(reader)
    assert "a" * 32 in warned(reader)


def test_a_run_whose_meta_yaml_is_gone_is_named(store: Path) -> None:
    add_run(store, params={"lr": "1"})
    (store / "1" / RUN / "meta.yaml").unlink()
    reader = opened(store)
    assert reader.runs() == ()
    assert "without meta.yaml" in warned(reader)


def test_a_yaml_bomb_costs_nothing(store: Path) -> None:
    """Nine levels of ten aliases each: a billion strings if they were followed."""
    levels = "".join(f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    add_run(store, meta=f"a: &a [x,x,x,x,x,x,x,x,x,x]\n{levels}run_id: {RUN}\n")
    assert "aliases" in warned_after(store)


def warned_after(store: Path) -> str:
    reader = opened(store)
    reader.details([run.run_id for run in reader.runs()])
    return warned(reader)


def test_values_that_cannot_be_read_are_named_and_the_rest_is_read(store: Path) -> None:
    folder = add_run(
        store,
        params={"bad": b"\xff", "good": "1"},
        metrics={"torn": "1700000000000 1.5 7\n17000000", "none": "", "words": "a b c\n1700000000000 2 1\n"},
    )
    (folder / "params" / "link").symlink_to("/nowhere")
    (folder / "params" / "loop").symlink_to(folder / "params")
    os.mkfifo(folder / "params" / "pipe")
    reader = opened(store)
    details = reader.details([run.run_id for run in reader.runs()])[RUN]
    assert details.params == {"good": "1"}
    assert {key: point.value for key, point in details.metrics.items()} == {"torn": 1.5, "words": 2.0}
    text = warned(reader)
    for name in ("params/bad: not UTF-8", "params/link", "params/loop: a link", "params/pipe", "metrics/none"):
        assert name in text
    assert "metrics/words: 1 malformed" in text
    assert "metrics/torn: 1 malformed" in text


def test_a_huge_param_is_passed_over_without_being_read(store: Path) -> None:
    add_run(store, params={"good": "1"})
    with (store / "1" / RUN / "params" / "huge").open("wb") as file:
        file.truncate(100 << 20)
    reader = opened(store)
    assert reader.details([reader.runs()[0].run_id])[RUN].params == {"good": "1"}
    assert "huge" in warned(reader)


def test_a_value_of_many_pages_is_read_whole(store: Path) -> None:
    for size in (4095, 4096, 4097, 100_000):
        add_run(store, params={"long": "ä" * (size // 2) + "x" * (size % 2)})
        assert len(only_run(store)[1].params["long"].encode()) == size


def test_links_to_files_and_to_folders_of_runs_are_followed(store: Path, tmp_path: Path) -> None:
    """Data-versioning tools replace files by links into their cache; people link experiments."""
    add_run(tmp_path / "elsewhere", params={"lr": "1"})
    (store / "1").joinpath("meta.yaml").rename(tmp_path / "elsewhere" / "1" / "meta.yaml")
    (store / "1").rmdir()
    (store / "1").symlink_to(tmp_path / "elsewhere" / "1")
    cache = write(tmp_path / "cache" / "ab", "1e-3")
    (store / "1" / RUN / "params" / "linked").symlink_to(cache)
    assert only_run(store)[1].params == {"lr": "1", "linked": "1e-3"}


def test_folders_that_link_in_a_circle_end(store: Path) -> None:
    add_run(store)
    (store / "loop").symlink_to(store)
    (store / "1" / "loop").symlink_to(store)
    only_run(store)


def test_a_run_that_lies_there_twice_counts_once_and_the_active_one_wins(store: Path) -> None:
    add_experiment(store / ".trash", "2", "gone")
    add_run(store / ".trash", experiment="2")
    add_run(store)
    reader = opened(store)
    assert [(run.experiment, run.is_deleted) for run in reader.runs()] == [("phase2", False)]
    assert "twice" in warned(reader)


def test_metrics_keep_nan_and_infinity(store: Path) -> None:
    line = "1700000000000 {} 0\n"
    add_run(store, metrics={key: line.format(key) for key in ("nan", "inf", "-inf")})
    values = {key: point.value for key, point in only_run(store)[1].metrics.items()}
    assert math.isnan(values["nan"])
    assert (values["inf"], values["-inf"]) == (math.inf, -math.inf)


def test_a_metric_history_is_sorted_and_complete(store: Path) -> None:
    lines = "1700000003000 3 1\n1700000001000 1 0\n1700000002000 2 1 data abc\n"
    add_run(store, metrics={"loss": lines, "val/loss": "1700000000000 9 4\n"})
    history = opened(store).metric_histories(RUN)
    assert [(p.step, p.value) for p in history["loss"]] == [(0, 1.0), (1, 2.0), (1, 3.0)]
    assert list(history) == ["loss", "val/loss"]
    assert opened(store).metric_histories(OTHER) == {}


def test_mentions_are_found_in_names_params_and_tags_and_sorted(store: Path) -> None:
    old = "ac7c134d5a5a44c4ac38fbc83f650af0_20260201_041227"
    add_run(store, params={"out/dir": f"checkpoints/phase2/{old}", "lr": "1"}, tags={"checkpoint_dir": old})
    add_run(store, OTHER, params={"resume_from": f"{old}/last.ckpt"})
    hits = list(opened(store).mentions(re.compile(old)))
    assert [(hit.run_id, hit.place) for hit in hits] == [
        (OTHER, "param resume_from"),
        (RUN, "param out/dir"),
        (RUN, "tag checkpoint_dir"),
    ]
    assert [hit.place for hit in opened(store).mentions(re.compile("brave"))] == ["run name"] * 2


def test_details_leave_out_unknown_ids(store: Path) -> None:
    add_run(store)
    assert list(opened(store).details([RUN, OTHER, "../../etc"])) == [RUN]


def test_times_that_no_calendar_has_are_none_and_named(store: Path) -> None:
    meta = META.format(run_id=RUN, experiment="1").replace("1700000000000", str(10**18))
    add_run(store, meta=meta.replace("1700000060000", "soon"))
    reader = opened(store)
    assert (reader.runs()[0].start_utc_ms, reader.runs()[0].end_utc_ms) == (None, None)
    assert "start_time" in warned(reader)
    assert "end_time" in warned(reader)


def test_many_runs_are_read_by_several_processes_alike(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the processes pass over arrives too, and the order stays."""
    ids = [f"{number:032x}" for number in range(60)]
    for number, run_id in enumerate(ids):
        add_run(store, run_id, params={"n": str(number), "bad": b"\xff" if number % 7 == 0 else "x"})
    results = []
    for batch in (100, 5):  # one batch is read here, twelve are spread
        monkeypatch.setattr(filestore, "_BATCH", batch)
        reader = opened(store)
        results.append((reader.runs(), reader.details(ids), list(reader.mentions(re.compile("^1"))), reader.warnings))
        assert [details.params["n"] for details in results[-1][1].values()] == [str(n) for n in range(60)]
    assert results[0] == results[1]
    assert len(results[0][3]) == 9


def test_a_folder_of_something_else_is_no_store(tmp_path: Path) -> None:
    """A wrong folder must not pass as a store without runs: every checkpoint would seem an orphan."""
    write(tmp_path / "checkpoints" / "phase2" / "last.ckpt", "x")
    add_experiment(tmp_path / "mlruns")
    with pytest.raises(StoreNotFoundError) as caught:
        open_stores([str(tmp_path)])
    assert str(tmp_path / "mlruns") in str(caught.value.remedy)
    assert caught.value.exit_code == 2


def test_a_folder_of_a_databases_artifacts_is_no_store(tmp_path: Path) -> None:
    write(tmp_path / "mlruns" / "1" / RUN / "artifacts" / "model.pt", "x")
    write(tmp_path / "mlruns" / "1" / "models" / "m-1" / "artifacts" / "x", "x")
    assert not is_file_store(str(tmp_path / "mlruns"))
    write(tmp_path / "mlflow.db", "x")
    with pytest.raises(StoreNotFoundError, match="no runs") as caught:
        open_stores([str(tmp_path / "mlruns")])
    assert str(tmp_path / "mlflow.db") in str(caught.value.remedy)


def test_an_experiments_own_folder_is_no_store_and_its_parent_is_named(store: Path) -> None:
    add_run(store)
    with pytest.raises(StoreNotFoundError) as caught:
        open_stores([str(store / "1")])
    assert f"Perhaps {store} was meant" in str(caught.value.remedy)


def test_a_meta_yaml_that_is_just_being_rewritten_is_read_again(store: Path) -> None:
    """MLflow empties the file, then writes it; a run must not vanish from a plan for that."""
    folder = add_run(store, meta="")
    add_run(store, OTHER, meta="")
    whole = META.format(run_id=RUN, experiment="1")
    timer = threading.Timer(0.05, (folder / "meta.yaml").write_text, (whole, "utf-8"))
    timer.start()
    reader = opened(store)
    assert [run.run_id for run in reader.runs()] == [RUN]
    assert f"{OTHER}: meta.yaml: empty" in warned(reader)
    assert len(reader.warnings) == 1
    timer.join()


def test_names_that_are_no_utf8_can_be_printed(store: Path) -> None:
    odd = os.fsdecode(b"exp\xff")
    add_run(store, experiment=odd, meta=META.format(run_id=RUN, experiment="1"))
    write(store / odd / RUN / "params" / os.fsdecode(b"k\xff"), "1")
    write(store / odd / RUN / "artifacts" / os.fsdecode(b"a\xff"), "1")
    reader = opened(store)
    (run,) = reader.runs()
    reader.details([RUN])
    (file,) = reader.artifact_files(RUN)
    assert run.experiment_id == "exp\\udcff"
    for text in (run.experiment_id, file.path, warned(reader)):
        assert text.encode("utf-8")
    assert file.local_path is not None
    assert Path(file.local_path).is_file()


def test_a_store_prepared_but_unused_has_no_runs(tmp_path: Path) -> None:
    (tmp_path / "mlruns" / ".trash").mkdir(parents=True)
    assert opened(tmp_path / "mlruns").runs() == ()


def test_reading_changes_nothing(store: Path) -> None:
    add_run(store, params={"a": "1"}, metrics={"m": "1700000000000 1 1\n"})
    (store / "1" / RUN / "artifacts").mkdir()

    def listing() -> list[tuple[str, int, int]]:
        return sorted((str(p), p.lstat().st_mtime_ns, p.lstat().st_size) for p in [store, *store.rglob("*")])

    before = listing()
    reader = opened(store)
    reader.details([RUN])
    reader.metric_histories(RUN)
    reader.artifact_files(RUN)
    list(reader.mentions(re.compile("x")))
    reader.close()
    assert listing() == before


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that every user can enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Go without root's right to read and write everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def store_of_two(folder: Path) -> Path:
    add_experiment(folder / "mlruns")
    add_run(folder / "mlruns", params={"a": "1"})
    add_run(folder / "mlruns", OTHER, params={"a": "1"})
    return folder / "mlruns"


def test_a_store_that_cannot_be_written_is_read(shared_folder: Path) -> None:
    store = store_of_two(shared_folder)
    for path in [store, *store.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with unprivileged():
        assert len(opened(store).details([RUN, OTHER])) == 2
    for path in [store, *store.rglob("*")]:
        path.chmod(0o755)


def test_a_store_or_experiment_that_cannot_be_listed_is_an_error(shared_folder: Path) -> None:
    """Its runs would be missing without anybody knowing."""
    store = store_of_two(shared_folder)
    for path in (store / "1", store):
        path.chmod(0)
        with unprivileged(), pytest.raises(StoreError, match="cannot be listed") as caught:
            opened(store).runs()
        assert "permission" in str(caught.value.remedy)
        path.chmod(0o755)


def test_a_run_that_cannot_be_read_is_named(shared_folder: Path) -> None:
    store = store_of_two(shared_folder)
    (store / "1" / RUN / "meta.yaml").chmod(0)
    (store / "1" / OTHER / "params").chmod(0)
    with unprivileged():
        reader = opened(store)
        assert [run.run_id for run in reader.runs()] == [OTHER]
        assert reader.details([OTHER])[OTHER].params == {}
    assert "Permission denied" in warned(reader)
    assert f"{OTHER}/params: cannot be listed" in warned(reader)
    (store / "1" / OTHER / "params").chmod(0o755)
