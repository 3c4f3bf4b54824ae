"""Scanning: what each thing below a root is, what is passed over, and what is survived."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt_migrate.errors import RootError
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.records import STATE_DIRECTORY, Checkpoint, State
from ckpt_migrate.scan.inspection import printable
from ckpt_migrate.scan.walk import UNWRITABLE_FOLDER, ScanResult, scan_roots

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RECIPE = load_recipe()
UID = "ac7c134d5a5a44c4ac38fbc83f650af0"
OLD = f"{UID}_20260201_041227"
NEWER = f"{UID}_20260202_050000"
RUN = "94525c6650a3407985928d7c2f83f9eb"
LINKED = f"{RUN}_20260201_044652"
REAL_STORES = Path(__file__).parents[2] / "shared" / "realdata" / "stores.tar.gz"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "checkpoints" / "phase2"
    made.mkdir(parents=True)
    return made


def fill(directory: Path, *files: str, text: str = "x") -> Path:
    """Make a directory that holds these files."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in files:
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        (directory / file).write_text(text)
    return directory


def scan(*roots: Path) -> ScanResult:
    return scan_roots([str(root) for root in roots], RECIPE)


def states(result: ScanResult, below: Path) -> dict[str, State]:
    return {os.path.relpath(found.path, below): found.state for found in result.checkpoints}


def only(result: ScanResult) -> Checkpoint:
    (found,) = result.checkpoints
    return found


# Roots.


def test_wrong_roots_are_named_all_at_once(root: Path) -> None:
    """One error lists every root that is missing, a file, or itself a checkpoint directory."""
    file = root / "last.ckpt"
    file.touch()
    checkpoint = fill(root / OLD)
    with pytest.raises(RootError) as caught:
        scan(root / "missing", file, root, checkpoint)
    assert [problem.rpartition(": ")[2] for problem in caught.value.problems] == [
        "no such directory",
        "not a directory",
        "is itself a checkpoint directory; name the directory that holds it",
    ]
    with pytest.raises(RootError) as caught:
        scan(file)
    assert (caught.value.where, caught.value.what) == (str(file), "not a directory")


def test_a_root_that_cannot_be_listed_is_wrong(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, [root])
    with pytest.raises(RootError, match="Permission denied"):
        scan(root)


def test_an_empty_root_holds_nothing(root: Path) -> None:
    assert scan(root) == ScanResult((str(root),), ())


def test_a_root_given_as_a_link_is_resolved(root: Path, tmp_path: Path) -> None:
    fill(root / OLD)
    (tmp_path / "link").symlink_to(root)
    result = scan(tmp_path / "link")
    assert result.roots == (str(root),)
    assert only(result).path == str(root / OLD)


def test_roots_given_twice_or_nested_count_once(root: Path, tmp_path: Path) -> None:
    """Each directory belongs to the innermost root, and the order of the roots makes no difference."""
    fill(root / OLD, "model.pt")
    fill(tmp_path / "checkpoints" / NEWER)
    fill(root.parent, "beside.pt")
    outer = tmp_path / "checkpoints"
    for roots in ([outer, root, outer], [root, outer]):
        result = scan(*roots)
        assert result.roots == (str(outer), str(root))
        assert [(found.root, found.basename) for found in result.checkpoints] == [
            (str(outer), NEWER),
            (str(outer), "beside.pt"),
            (str(root), OLD),
        ]


def test_a_folder_above_another_root_is_a_collection(root: Path) -> None:
    """Its weights are loose even where the inner root alone holds checkpoint directories."""
    inner = fill(root / "a" / "b" / OLD).parent
    fill(root / "a", "last.ckpt")
    assert states(scan(root, inner), root) == {f"a/b/{OLD}": State.LEGACY, "a/last.ckpt": State.LOOSE}


# What a directory is.


def test_the_three_generations(root: Path) -> None:
    """Flat files are loose, a uuid's directory is legacy, and one whose manifest agrees with its name is linked."""
    fill(root, "last.ckpt", "phase2-epoch=00-train_loss=2.9476.ckpt", "notes.txt")
    fill(root / OLD, "config.json", "model.pt", "lightning_checkpoints/best-epoch=00-train_loss=2.9476.ckpt")
    fill(root / LINKED, "MLFLOW_RUN_ID.txt", text=f"MLflow Run ID: {RUN}\n")
    found = {checkpoint.basename: checkpoint for checkpoint in scan(root).checkpoints}
    assert {name: checkpoint.state for name, checkpoint in found.items()} == {
        "last.ckpt": State.LOOSE,
        "phase2-epoch=00-train_loss=2.9476.ckpt": State.LOOSE,
        OLD: State.LEGACY,
        LINKED: State.TARGET,
    }
    legacy, loose = found[OLD], found["phase2-epoch=00-train_loss=2.9476.ckpt"]
    assert legacy.reason is None
    assert legacy.name is not None
    assert (legacy.name.uid, legacy.name.stamp) == (UID, "20260201_041227")
    assert legacy.evidence == ("config", "metric", "weights")
    assert legacy.mtime_ns == (root / OLD).stat().st_mtime_ns
    assert [(file.path, file.kind, file.size_bytes) for file in legacy.files] == [
        ("config.json", "file", 1),
        ("lightning_checkpoints", "dir", 0),
        ("lightning_checkpoints/best-epoch=00-train_loss=2.9476.ckpt", "file", 1),
        ("model.pt", "file", 1),
    ]
    assert loose.reason == "flat file of the oldest generation: no directory, no id; never renamed"
    assert loose.evidence == ("metric", "weights")
    assert [file.path for file in loose.files] == [loose.basename]
    assert found[LINKED].evidence == ("pointer",)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (f"MLflow Run ID: {RUN}", State.TARGET),
        (RUN, State.TARGET),
        (f"MLflow Run ID: {UID}", State.LEGACY),
        (f"MLflow Run ID: {RUN}\nMLflow Run ID: {UID}", State.LEGACY),
        (f"Checkpoint Dir: x/{LINKED}", State.LEGACY),
        ("", State.LEGACY),
        (" " * 100_000 + RUN, State.LEGACY),
    ],
)
def test_only_a_pointer_to_its_own_id_makes_a_target(root: Path, text: str, state: State) -> None:
    """Another id, a second one, none, or a file too large to be a pointer leave the name unproven."""
    fill(root / LINKED, "mlflow_run_id.txt", text=text)
    assert only(scan(root)).state is state


def test_a_pointer_that_is_a_link_proves_nothing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(RUN)
    fill(root / LINKED)
    (root / LINKED / "MLFLOW_RUN_ID.txt").symlink_to(tmp_path / "elsewhere")
    assert only(scan(root)).state is State.LEGACY


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ac7c134d-5a5a-44c4-ac38-fbc83f650af0_20260201_041227", "the id is written with dashes"),
        (OLD.upper(), "the id has upper-case letters"),
        (f"{UID}_20260230_041227", "the time stamp 20260230_041227 is no date that exists"),
        (f"{UID}_20260201-041227", "the time stamp 20260201-041227 is not written YYYYMMDD_HHMMSS"),
    ],
)
def test_names_that_only_look_right_are_listed_with_the_reason(root: Path, name: str, reason: str) -> None:
    """Empty or not; and they make their folder a collection."""
    fill(root / "sub" / name)
    fill(root / "sub", "last.ckpt")
    result = scan(root)
    assert states(result, root) == {f"sub/{name}": State.OTHER, "sub/last.ckpt": State.LOOSE}
    assert {found.reason for found in result.checkpoints if found.basename == name} == {reason}


def test_weights_in_a_folder_of_another_name_are_one_other_checkpoint(root: Path) -> None:
    """Whatever lies below it belongs to it; a folder with Lightning's inner folder alone is one too."""
    fill(root / "my_run", "model.pt", "old/copy.pt", "lightning_checkpoints/last.ckpt")
    fill(root / "crashed", "lightning_checkpoints/last.ckpt")
    fill(root / "plain" / "deep", "x.pt")
    fill(root / "empty", "notes.txt")
    result = scan(root)
    assert states(result, root) == dict.fromkeys(["crashed", "my_run", "plain/deep"], State.OTHER)
    assert {found.reason for found in result.checkpoints} == {"the name is not of the form {uuid}_{stamp}"}
    my_run = next(found for found in result.checkpoints if found.basename == "my_run")
    assert [file.path for file in my_run.files if file.kind == "file"] == [
        "lightning_checkpoints/last.ckpt",
        "model.pt",
        "old/copy.pt",
    ]


def test_weights_beside_checkpoint_directories_are_loose(root: Path) -> None:
    """At every level above a checkpoint directory; Lightning's folder there is a checkpoint of no known name."""
    fill(root / "a" / "b" / OLD)
    fill(root / "a", "one.pt", "lightning_checkpoints/two.ckpt")
    fill(root / "a" / "b", "three.ckpt")
    assert states(scan(root), root) == {
        f"a/b/{OLD}": State.LEGACY,
        "a/one.pt": State.LOOSE,
        "a/b/three.ckpt": State.LOOSE,
        "a/lightning_checkpoints": State.OTHER,
    }


def test_a_file_by_the_name_of_a_checkpoint_directory(root: Path) -> None:
    (root / OLD).write_text("x")
    found = only(scan(root))
    assert (found.state, found.reason, found.files) == (State.OTHER, "a file, not a directory", ())


def test_nothing_inside_a_checkpoint_directory_is_another_one(root: Path) -> None:
    fill(root / OLD / NEWER, "model.pt")
    fill(root / OLD / "my_run", "model.pt")
    assert states(scan(root), root) == {OLD: State.LEGACY}


# Links.


def test_links_of_known_names_are_listed_and_not_followed(root: Path, tmp_path: Path) -> None:
    """Whether the name is the link's own or its target's; other links are passed over."""
    fill(root / OLD, "model.pt")
    elsewhere = fill(tmp_path / "elsewhere" / NEWER, "model.pt")
    (root / "latest").symlink_to(OLD)
    (root / "abroad").symlink_to(elsewhere)
    (root / LINKED).symlink_to("gone")
    (root / "stale").symlink_to(f"{UID}_20260303_000000")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "loose.pt").symlink_to(elsewhere / "model.pt")
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to("..")
    result = scan(root)
    assert states(result, root) == {
        OLD: State.LEGACY,
        **dict.fromkeys(["latest", "abroad", LINKED, "stale"], State.LINK),
    }
    reasons = {found.basename: found.reason for found in result.checkpoints}
    assert reasons["latest"] == f"a symbolic link to {OLD}; links are not followed"
    assert reasons[LINKED] == "a symbolic link to gone, which does not exist; links are not followed"


def test_links_inside_a_checkpoint_are_listed_as_links(root: Path) -> None:
    fill(root / OLD, "lightning_checkpoints/best.ckpt")
    (root / OLD / "last.ckpt").symlink_to("lightning_checkpoints/best.ckpt")
    (root / OLD / "up").symlink_to("..")
    kinds = {file.path: (file.kind, file.size_bytes) for file in only(scan(root)).files}
    assert kinds["last.ckpt"] == kinds["up"] == ("link", 0)
    assert len(kinds) == 4


# What is passed over.


@pytest.mark.parametrize("name", [STATE_DIRECTORY, ".git", "__pycache__", ".venv", "node_modules", "lib/site-packages"])
def test_folders_of_tools_are_passed_over(root: Path, name: str) -> None:
    fill(root / name / OLD, "model.pt")
    fill(root / name, "weights.pt")
    assert scan(root) == ScanResult((str(root),), ())


def test_a_project_that_is_a_virtual_environment_itself_is_scanned(root: Path) -> None:
    """`python -m venv .` leaves its mark in the project's folder."""
    fill(root, "pyvenv.cfg")
    fill(root / "checkpoints" / OLD)
    assert states(scan(root), root) == {f"checkpoints/{OLD}": State.LEGACY}


STORE = {
    "mlruns/0/meta.yaml": "artifact_location: file:///x\nexperiment_id: '0'\nname: Default\n",
    f"mlruns/0/{RUN}/meta.yaml": f"run_id: {RUN}\nstatus: 3\n",
    f"mlruns/0/{RUN}/artifacts/model/model.pt": "x",
    f"mlruns/0/{RUN}/artifacts/{OLD}/model.pt": "x",
    f"mlruns/lost/{RUN}/meta.yaml": f"run_uuid: {RUN}\n",
    f"mlruns/lost/{RUN}/artifacts/last.ckpt": "x",
    f"mlruns/.trash/{RUN}/meta.yaml": f"run_id: {RUN}\n",
    f"mlruns/.trash/{RUN}/artifacts/last.ckpt": "x",
    f"mlartifacts/1/{RUN}/artifacts/model/data/model.pth": "x",
    f"mlartifacts/1/{RUN}/checkpoints/epoch=1-step=2.ckpt": "x",
    f"mlartifacts/1/models/m-{UID}/artifacts/data/model.pt": "x",
    f"bucket/{RUN}/artifacts/last.ckpt": "x",
    "exported/MLmodel": "flavors: {}",
    "exported/data/model.pt": "x",
}


def test_stores_of_mlflow_hold_no_checkpoints_of_ours(root: Path) -> None:
    """File stores by their meta.yaml, artifacts of databases by their layout, exported models by their MLmodel."""
    for path, text in STORE.items():
        fill(root, path, text=text)
    fill(root / "phase2" / OLD, "meta.yaml", text="run_id: x\n")
    fill(root / "other", "meta.yaml", "model.pt", text="name: mine\n")
    fill(root / "2026" / UID, "model.pt")
    assert states(scan(root), root) == {
        f"phase2/{OLD}": State.LEGACY,
        "other": State.OTHER,
        f"2026/{UID}": State.OTHER,
    }


def test_a_store_given_as_root_is_said_so(root: Path) -> None:
    for path, text in STORE.items():
        fill(root, path, text=text)
    result = scan(root / "mlruns" / "0")
    assert result.checkpoints == ()
    assert result.problems == ((str(root / "mlruns" / "0"), "belongs to an MLflow store; not looked into"),)


@pytest.mark.skipif(not REAL_STORES.exists(), reason="real stores lie beside the checkout only where it is developed")
def test_real_stores_give_no_records(tmp_path: Path) -> None:
    """Hundreds of real runs, with models, traces and several stores in one tree, are passed over."""
    with tarfile.open(REAL_STORES) as packed:
        packed.extractall(tmp_path, [file for file in packed if file.name.endswith("meta.yaml")], filter="data")
    runs = [path.parent for path in tmp_path.rglob("meta.yaml") if len(path.parent.name) == len(RUN)]
    assert len(runs) > 300
    for run in runs[::7]:
        fill(run / "artifacts" / OLD, "model.pt")
    assert scan(tmp_path).checkpoints == ()


# What is survived.


def deny(monkeypatch: pytest.MonkeyPatch, paths: Sequence[Path], code: int = errno.EACCES) -> None:
    """Let listing these directories fail, as it does without permission; the tests may run as root."""
    real, denied = os.scandir, {str(path) for path in paths}

    def scandir(path: str) -> Iterable[os.DirEntry[str]]:
        if path.rstrip("/") in denied:
            raise OSError(code, os.strerror(code), path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_what_cannot_be_listed_is_said_and_the_rest_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint, a folder within one, and a folder of no known name."""
    fill(root / OLD)
    fill(root / NEWER, "model.pt", "lightning_checkpoints/last.ckpt")
    fill(root / LINKED, "model.pt")
    fill(root / "private")
    deny(monkeypatch, [root / OLD, root / NEWER / "lightning_checkpoints", root / "private"])
    result = scan(root)
    assert {found.basename: (found.state, found.reason) for found in result.checkpoints} == {
        OLD: (State.UNREADABLE, "Permission denied"),
        NEWER: (State.UNREADABLE, "lightning_checkpoints: Permission denied"),
        LINKED: (State.LEGACY, None),
    }
    assert result.problems == ((str(root / "private"), "Permission denied"),)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="drops the rights of root")
def test_without_permission_to_search_a_folder_its_checkpoints_are_unreadable() -> None:
    """Names can be listed and nothing behind them: as it is for a user without rights."""
    call = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c"]
    code = (
        "import sys; from ckpt_migrate.recipe import load_recipe; from ckpt_migrate.scan.walk import scan_roots\n"
        "r = scan_roots(sys.argv[1:], load_recipe())\n"
        "print([(c.basename, c.state.value, c.reason) for c in r.checkpoints], [w for _, w in r.problems])"
    )
    here = Path(__file__).parents[1]
    if subprocess.run([*call, "import ckpt_migrate.scan.walk"], capture_output=True, check=False, cwd=here).returncode:
        pytest.skip("an unprivileged user cannot read this checkout or interpreter")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shared = fill(Path(folder) / "shared" / OLD).parent
        fill(shared / "folder")
        shared.chmod(0o744)
        done = subprocess.run([*call, code, folder], capture_output=True, text=True, check=False, cwd=here)
    assert done.stdout == f"[('{OLD}', 'unreadable', 'Permission denied')] ['Permission denied']\n", done.stderr


def test_directories_that_vanish_are_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that renames and cleans up while it is scanned does no harm."""
    fill(root / OLD)
    fill(root / NEWER, "model.pt", "lightning_checkpoints/last.ckpt")
    fill(root / "folder")
    deny(monkeypatch, [root / OLD, root / NEWER / "lightning_checkpoints", root / "folder"], errno.ENOENT)
    result = scan(root)
    assert states(result, root) == {NEWER: State.LEGACY}
    assert result.problems == ()


def test_hostile_names_are_survived(root: Path) -> None:
    """Names that are no UTF-8, or hold newlines and terminal escapes, are listed where they matter."""
    fill(root / OLD, "caf\udce9.txt", "a\nb\x1b[31m.txt")
    fill(root / "bad\udcff" / NEWER)
    fill(root / "new\nline" / LINKED)
    fill(root / f"{OLD}\n", "model.pt")
    fill(root / "\x1b[2J")
    (root / "esc").symlink_to(f"\x1b[31m/{OLD}")
    result = scan(root)
    refused = "its path holds control characters or is not UTF-8; rename the folder above it"
    assert {found.basename: (found.state, found.reason) for found in result.checkpoints} == {
        OLD: (State.LEGACY, None),
        NEWER: (State.OTHER, refused),
        LINKED: (State.OTHER, refused),
        f"{OLD}\n": (State.OTHER, "the name is not of the form {uuid}_{stamp}"),
        "esc": (
            State.LINK,
            f"a symbolic link to \\x1b[31m/{OLD}, which does not exist; links are not followed",
        ),
    }
    assert result.problems == (
        (f"{root}/bad\udcff", UNWRITABLE_FOLDER),
        (f"{root}/new\nline", UNWRITABLE_FOLDER),
    )


@pytest.mark.parametrize("name", ["new\nline", "bad\udcff", "line\u2028end"])
def test_a_root_whose_path_no_plan_can_hold_is_wrong(root: Path, name: str) -> None:
    """It is said, and nothing below is passed over in silence; a root in a folder of such a name is no better."""
    fill(root / name / "phase2" / OLD)
    for path in (root / name, root / name / "phase2"):
        with pytest.raises(RootError, match="no plan can name") as caught:
            scan(path)
        assert (caught.value.where or "").isprintable()


def test_names_of_another_script_are_shown_as_they_are_and_direction_is_written_out(root: Path) -> None:
    """Neither makes a directory unusable."""
    fill(root / "\u202egnp.x \u0645\u06cc\u200c\u062e \U0001f469" / OLD)
    found = only(scan(root))
    assert found.state is State.LEGACY
    assert printable(found.path).startswith(f"{root}/\\u202egnp.x \u0645\u06cc\\u200c\u062e \U0001f469/")


def test_a_tree_deeper_than_a_path_may_be_is_unreadable(root: Path) -> None:
    """Made, as such trees are, by programs that work from directory to directory."""
    fill(root / OLD)
    here = os.open(root / OLD, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("x" * 200, dir_fd=here)
        below = os.open("x" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    found = only(scan(root))
    assert found.state is State.UNREADABLE
    assert found.reason is not None
    assert found.reason.endswith("File name too long")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare for a mount of its own")
def test_a_folder_mounted_below_itself_is_scanned_once(root: Path) -> None:
    """A bind mount is no link, and would be walked for ever."""
    fill(root / "data" / OLD)
    fill(root / "data" / "again")
    fill(root / "other" / "view")
    code = (
        "import sys; from ckpt_migrate.recipe import load_recipe; from ckpt_migrate.scan.walk import scan_roots\n"
        "print(len(scan_roots(sys.argv[1:], load_recipe()).checkpoints))"
    )
    script = 'mount --bind "$1/data" "$1/data/again" && mount --bind "$1/data" "$1/other/view" && "$2" -c "$3" "$1"'
    call = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", str(root), sys.executable, code]
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr.strip()}")
    assert done.stdout == "1\n", done.stderr


def test_a_scan_changes_nothing(root: Path) -> None:
    """Names, bytes and times of the whole tree are as before."""
    fill(root / OLD, "config.json", "model.pt")
    fill(root, "last.ckpt")

    def snapshot() -> list[tuple[str, int, int, int]]:
        found = []
        for path in (root, *sorted(root.rglob("*"))):
            status = path.lstat()
            found.append((str(path), status.st_mtime_ns, status.st_ctime_ns, status.st_size))
        return found

    before = snapshot()
    scan(root)
    assert snapshot() == before


def test_the_order_is_by_root_then_path(tmp_path: Path) -> None:
    for name in ("b", "a"):
        for stamp in ("20260203_000000", "20260101_000000"):
            fill(tmp_path / name / f"{UID}_{stamp}")
    result = scan(tmp_path / "b", tmp_path / "a")
    assert [found.path for found in result.checkpoints] == sorted(found.path for found in result.checkpoints)
