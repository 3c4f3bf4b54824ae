"""What is shipped is what is meant to be, and every room imports only what it may."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "ckpt_migrate"
MODULES = sorted(PACKAGE.rglob("*.py"))
DATA = {
    "ckpt_migrate/py.typed",
    *(f"ckpt_migrate/report/page/page.{kind}" for kind in ("css", "html")),
    *(f"ckpt_migrate/report/page/{name}.js" for name in ("case", "charts", "data", "start", "table", "timeline")),
    *(
        f"ckpt_migrate/report/library/{name}"
        for name in ("LICENSE", "NOTICE", "README.md", "echarts.common.min.js", "licenses/LICENSE-d3")
    ),
    *(f"ckpt_migrate/schemas/{name}.json" for name in ("output", "plan", "recipe")),
}
"""Files of the package that are no modules."""
SOURCE_FOLDERS = {"ckpt_migrate", "migrations", "tests", "evaluation", "benchmarks", "docs", "man", ".ci"}
SOURCE_FILES = {
    "pyproject.toml",
    "PKG-INFO",
    ".gitignore",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "mkdocs.yml",
}
DISTRIBUTIONS = {"yaml": "pyyaml"}
"""Import names that differ from the name of the distribution."""
NEVER_IMPORTED = {"tzdata"}
"""Dependencies that `zoneinfo` of the standard library looks for by itself."""
NEWER_STANDARD_LIBRARY = {"tomllib"}
"""Imported where the Python that runs has it, done without on an older one."""
SHARED = "share/man/man1"
"""Where manual pages go in an environment: `man` looks there when its `bin` is on the path."""
MOST_LINES = 400

needs_hatchling = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="hatchling, which builds the package, is not installed"
)


def shipped() -> set[str]:
    """Return what a wheel holds besides its metadata."""
    modules = {module.relative_to(REPOSITORY).as_posix() for module in MODULES}
    recipes = {f"ckpt_migrate/migrations/{path.name}" for path in (REPOSITORY / "migrations").glob("*.yaml")}
    pages = {f"{SHARED}/{path.name}" for path in (REPOSITORY / "man").glob("*.1")}
    return modules | recipes | pages | DATA


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build a wheel or an sdist without network and without touching the source."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built


def content(wheel: Path) -> set[str]:
    """Return what a wheel holds besides its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    return {name.rpartition(".data/data/")[2] for name in names}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", REPOSITORY, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", REPOSITORY, tmp_path_factory.mktemp("sdist"))


@needs_hatchling
def test_the_wheel_holds_modules_recipes_and_the_typing_marker_and_nothing_else(wheel: Path) -> None:
    assert content(wheel) == shipped()
    assert {"ckpt_migrate/migrations/phase2_run_id.yaml", "ckpt_migrate/py.typed"} <= content(wheel)


@needs_hatchling
def test_the_wheel_names_a_command_that_is_there(wheel: Path, tmp_path: Path) -> None:
    """Unpacked anywhere, the wheel finds its recipe inside itself, and its command answers."""
    shutil.unpack_archive(wheel, tmp_path, format="zip")
    (entry_points,) = tmp_path.glob("*.dist-info/entry_points.txt")
    assert "ckpt-migrate = ckpt_migrate.__main__:main" in entry_points.read_text(encoding="utf-8")
    script = (
        "import sys; from ckpt_migrate.recipe import load_recipe; print(load_recipe().source);"
        "from ckpt_migrate.__main__ import main; sys.argv = ['ckpt-migrate', '--help']; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    source, *help_lines = done.stdout.splitlines()
    assert source == str(tmp_path / "ckpt_migrate" / "migrations" / "phase2_run_id.yaml")
    assert any("rollback" in line for line in help_lines)


@needs_hatchling
def test_the_sdist_holds_source_alone(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"ckpt_migrate/py.typed", "migrations/phase2_run_id.yaml", "tests/test_packaging.py"} <= set(names)
    for name in names:
        top, _, below = name.partition("/")
        assert (top in SOURCE_FOLDERS) if below else (name in SOURCE_FILES), name
        assert not name.endswith((".pyc", ".db", ".ckpt", ".pt", ".jsonl")), name


@needs_hatchling
def test_the_sdist_builds_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(sdist, tmp_path / "source")
    (source,) = (tmp_path / "source").iterdir()
    assert content(build("wheel", source, tmp_path / "rebuilt")) == content(wheel)


@dataclass(frozen=True)
class Import:
    """An import: where it stands, what it names, and whether it is there for the type checker alone."""

    module: Path
    line: int
    name: str
    is_for_types: bool


def imports() -> Iterator[Import]:
    """Yield every import in the package."""
    for path in MODULES:
        tree = ast.parse(path.read_bytes())
        for_types = {
            node
            for guard in ast.walk(tree)
            if isinstance(guard, ast.If) and ast.unparse(guard.test) == "TYPE_CHECKING"
            for statement in guard.body
            for node in ast.walk(statement)
        }
        module = path.relative_to(PACKAGE)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from (Import(module, node.lineno, name, node in for_types) for name in names)


def test_every_third_party_import_is_declared_and_every_dependency_imported() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    section = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    declared = {name.lower() for name in re.findall(r'^  "([A-Za-z0-9-]+)', section[1], re.MULTILINE)}
    tops = {found.name.partition(".")[0] for found in imports() if not found.is_for_types}
    foreign = tops - set(sys.stdlib_module_names) - NEWER_STANDARD_LIBRARY - {"ckpt_migrate"}
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} == declared - NEVER_IMPORTED


@pytest.mark.parametrize(
    ("imported", "rooms"),
    [("mlflow", {"tracking"}), ("click", {"cli"}), ("ckpt_migrate.cli", {"cli", "__main__.py"})],
)
def test_only_one_room_imports(imported: str, rooms: set[str]) -> None:
    """The adapter alone knows MLflow, the command line alone knows click, and nothing knows the command line."""
    strays = [
        f"{found.module}:{found.line} imports {found.name}"
        for found in imports()
        if f"{found.name}.".startswith(f"{imported}.") and found.module.parts[0] not in rooms
    ]
    assert strays == []


def test_importing_every_module_loads_no_mlflow() -> None:
    """MLflow takes seconds to import; commands that need no store must not pay for it."""
    names = [".".join(("ckpt_migrate", *module.relative_to(PACKAGE).with_suffix("").parts)) for module in MODULES]
    wanted = [name.removesuffix(".__init__") for name in names if not name.endswith(".__main__")]
    script = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    script += "assert 'mlflow' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", script, *wanted], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_can_be_read_in_one_sitting(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
