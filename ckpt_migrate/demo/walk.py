"""Walk through the whole story on the demo's world: scan, plan, dry run, apply, verify, rollback."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt_migrate.demo import snapshot
from ckpt_migrate.demo.history import STORIES, ZONE, Kind
from ckpt_migrate.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNDECIDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt_migrate.demo.world import DemoCheckpoint, DemoWorld

PLAN = "plan.yaml"
_WIDTH = 100
_UNDECIDED = (EXIT_DONE, EXIT_UNDECIDED)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the walk.

    Attributes:
        title: What it does.
        look_at: What to look at in what it prints.
        command: Its arguments.
        codes: Exit codes with which the walk goes on.
        check: What the demo finds out by itself afterwards; returns whether all is well.
    """

    title: str
    look_at: str
    command: tuple[str, ...]
    codes: tuple[int, ...] = (EXIT_DONE,)
    check: Callable[[], bool] | None = None


def walk(
    world: DemoWorld,
    run_command: Callable[[list[str]], int],
    say: Callable[[str], None],
    *,
    program: str = "ckpt-migrate",
) -> int:
    """Run the tool's own commands on the world, one after the other, and leave it as it was.

    Args:
        world: Where to, and what is true there.
        run_command: Runs the tool with these arguments in the current directory and returns its exit code.
        say: Prints a line.
        program: What the user types to call the tool.

    Returns:
        0 when every command ended as it should, no directory was renamed wrongly, and the rollback restored all;
        1 otherwise.
    """
    return _Guide(world, run_command, say, program).walk()


class _Guide:
    def __init__(
        self, world: DemoWorld, run_command: Callable[[list[str]], int], say: Callable[[str], None], program: str
    ) -> None:
        self._world = world
        self._run_command = run_command
        self._say = say
        self._program = program
        self._root = _shown(world.root)
        self._plan = _shown(os.path.join(world.folder, PLAN))
        self._uri = _shown_uri(world.tracking_uri)
        self._before = self._snapshot()
        self._inodes = {
            os.lstat(os.path.join(world.folder, checkpoint.path)).st_ino: checkpoint for checkpoint in world.checkpoints
        }

    def walk(self) -> int:
        self._introduce()
        steps = self._steps()
        is_well = True
        for number, step in enumerate(steps, start=1):
            self._say("")
            self._say(f"[{number}/{len(steps)}] {step.title}")
            self._paragraph(step.look_at)
            self._say(f"  $ {self._pasted(step.command)}")
            self._say("")
            code = self._run_command(list(step.command))
            if code not in step.codes:
                self._stop(code, step.codes)
                return EXIT_FAILED
            if step.check is not None:
                self._say("")
                is_well = step.check() and is_well
        self._play_on()
        return EXIT_DONE if is_well else EXIT_FAILED

    def _steps(self) -> tuple[Step, ...]:
        return (*self._steps_to_a_plan(), *self._steps_of_reading(), *self._steps_of_change(), *self._steps_after())

    def _steps_to_a_plan(self) -> tuple[Step, ...]:
        return (
            Step(
                "What is there? (needs no MLflow)",
                "Look at the states. Loose files of the oldest generation, a `latest` link and a name with dashes "
                "lie between the legacy directories; they are reported, and keep their names.",
                ("scan", self._root),
            ),
            Step(
                "Which run made which directory?",
                f"Nobody tells the tool that the training machine's clock was on {ZONE} time: look at the zone that it "
                "infers from the stamps, summer time included. It leaves undecided what nobody can know, and "
                "ends with exit code 3 to say so.",
                ("plan", self._root, "--tracking-uri", self._uri, "-o", self._plan),
                _UNDECIDED,
            ),
        )

    def _steps_of_reading(self) -> tuple[Step, ...]:
        twin, swept = self._first(Kind.TWIN), self._first(Kind.SWEEP)
        return (
            Step(
                "Read the plan.",
                "Nothing has been renamed yet. The plan is a text file which you may edit; this shows it as a "
                "table. Look at the confidence, and at the reasons for what is skipped: the orphan, the twins, and "
                "the directory of which somebody deleted the run.",
                ("show", self._plan),
                _UNDECIDED,
            ),
            Step(
                "Why this run?",
                "One of six that were started in one minute. Look at what tells it from the other five.",
                ("show", self._plan, swept.name),
                _UNDECIDED,
            ),
            Step(
                "Why not?",
                "Two directories and two runs with the same second, settings and loss. A guess would be right "
                "half of the time: look at the candidates. `ckpt-migrate review` would let you choose one.",
                ("show", self._plan, twin.name),
                _UNDECIDED,
            ),
        )

    def _steps_of_change(self) -> tuple[Step, ...]:
        return (
            Step(
                "Rehearse.",
                "Look at the operations, in the order in which they will be done.",
                ("apply", self._plan, "--dry-run"),
                _UNDECIDED,
                self._prove_untouched,
            ),
            Step(
                "Do it.",
                "Each change is logged before it is made. Look at the command that undoes it.",
                ("apply", self._plan, "--yes"),
                _UNDECIDED,
                self._compare_with_truth,
            ),
        )

    def _steps_after(self) -> tuple[Step, ...]:
        return (
            Step(
                "Does every directory name its run now?",
                "What was left undecided is listed, hence exit code 3. All else agrees with MLflow.",
                ("verify", self._root, "--tracking-uri", self._uri),
                _UNDECIDED,
            ),
            Step(
                "An old name turns up in your notes.",
                "Look at both sides: the directory as it is called now, and its run.",
                ("find", self._first(Kind.PLAIN).name, "--root", self._root, "--tracking-uri", self._uri),
            ),
            Step(
                "What was done here, and when?",
                "One line for each apply, and the state that it is in.",
                ("log", self._root),
            ),
            Step(
                "Undo all of it.",
                "`latest` is the newest log. Look at the count: it is that of the apply.",
                ("rollback", "latest", "--root", self._root, "--yes"),
                check=self._prove_restored,
            ),
        )

    def _introduce(self) -> None:
        world = self._world
        counts = Counter(checkpoint.kind for checkpoint in world.checkpoints)
        self._say(f"A legacy tree and a real MLflow store were made in {_shown(world.folder)}:")
        for kind, story in STORIES.items():
            self._say(f"  {counts[kind]:3}  {kind.value:14} {story}")
        self._paragraph("The demo knows which run made which directory. The tool is not told.")

    def _prove_untouched(self) -> bool:
        return self._prove("Proof: all of this has changed no name, byte or time stamp of the tree and the store.")

    def _prove_restored(self) -> bool:
        return self._prove(
            "Proof: every name, byte and time stamp is as it was before. "
            f"The log stays, in {os.path.join(self._root, '.ckpt-migrate')}."
        )

    def _prove(self, claim: str) -> bool:
        found = snapshot.differences(self._before, self._snapshot())
        if not found:
            self._paragraph(claim)
            return True
        self._say("  THIS IS WRONG: the tree or the store is not as it was.")
        for line in found:
            self._say(f"    {line}")
        return False

    def _compare_with_truth(self) -> bool:
        kept: Counter[Kind] = Counter()
        right, wrong = 0, list[str]()
        for entry in os.scandir(self._world.root):
            checkpoint = self._inodes.get(entry.inode())
            if checkpoint is None:
                continue
            if entry.name == checkpoint.name:
                kept[checkpoint.kind] += 1
            elif checkpoint.run_id is not None and entry.name.startswith(f"{checkpoint.run_id}_"):
                right += 1
            else:
                wrong.append(f"{checkpoint.name} is now {entry.name}; its run is {checkpoint.run_id or 'none'}")
        left = ", ".join(f"{count} {kind.value}" for kind, count in sorted(kept.items()))
        self._paragraph(
            f"Compared with the truth: {right} renamed rightly, {len(wrong)} wrongly; names left alone: {left}."
        )
        for line in wrong:
            self._say(f"    WRONG: {line}")
        return not wrong

    def _stop(self, code: int, expected: tuple[int, ...]) -> None:
        wanted = " or ".join(str(code) for code in expected)
        self._say("")
        self._say(f"The demo stops here: this command ended with exit code {code}, not {wanted}.")
        self._say(f"All of it lies in {_shown(self._world.folder)}; what was applied is listed and undone by:")
        self._say(f"  $ {self._pasted(('log', self._root))}")
        self._say(f"  $ {self._pasted(('rollback', 'latest', '--root', self._root))}")

    def _play_on(self) -> None:
        plan = ("plan", self._root, "--tracking-uri", self._uri, "-o", self._plan)
        self._say("")
        self._say("That was all. The tree has its old names again, and it is yours to try by hand:")
        for command in (plan, ("apply", self._plan), ("rollback", "latest", "--root", self._root)):
            self._say(f"  $ {self._pasted(command)}")
        self._say(f"Remove the folder {_shown(self._world.folder)} when you are done.")

    def _paragraph(self, text: str) -> None:
        indent = "  "
        lines = textwrap.wrap(
            text,
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines:
            self._say(line)

    def _pasted(self, command: tuple[str, ...]) -> str:
        return f"{self._program} {shlex.join(command)}"

    def _first(self, kind: Kind) -> DemoCheckpoint:
        return self._world.of_kind(kind)[0]

    def _snapshot(self) -> snapshot.Snapshot:
        return snapshot.take(self._world.folder, without=(PLAN,))


def _shown(path: str) -> str:
    """Return a path as a user would type it: relative, unless it lies outside the current directory."""
    relative = os.path.relpath(path)
    return path if relative == os.pardir or relative.startswith(os.pardir + os.sep) else relative


def _shown_uri(uri: str) -> str:
    scheme, path = uri.split(":///", maxsplit=1)
    return f"{scheme}:///{_shown(path)}"
