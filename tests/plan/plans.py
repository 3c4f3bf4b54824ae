"""Plans for tests: a small fixed one with every kind of entry, and wild ones."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ckpt_migrate.plan.fields import SUMMARIES, shown_confidence
from ckpt_migrate.plan.read import parse_plan
from ckpt_migrate.plan.records import Action, Candidate, Clock, Entry, Link, Plan, RunFacts, Status
from ckpt_migrate.recipe import load_recipe
from ckpt_migrate.references.records import (
    EditAction,
    LeftAlone,
    LeftKind,
    LineChange,
    MentionKind,
    Reference,
    References,
)
from ckpt_migrate.strict_yaml import Problems

if TYPE_CHECKING:
    from ckpt_migrate.recipe import Recipe

FOLDER = "/project"
ROOT = "checkpoints/phase2"
RECIPE = load_recipe()
STAMP = "20260201_041227"
NASTY = (
    "", " ", "-", "- a", "a: b", "a #b", "#", "null", "~", "yes", "1e5", "0x1f", "1_000", "12:30:45", "2026-02-01",
    ".inf", "NaN", "=", "<<", "!tag", "&a", "*a", "%a", "@a", "`a", "{a}", "[a]", "a, b", '"', "'", "\\", "line\nbreak",
    "\ttab", "trailing ", " leading", "\x1b[31mred\x1b[0m", "\x00", "\x85", "\u2028", "\ufeff", "\u200b", "\ue000",
    "\U0010ffff", "🦊", "Zürich", "実験", "a" * 400, "---", "...", "? a", "| a", "> a", "0o17", "+1", "1.", ".5",
    "0123", "1e400",
)  # fmt: skip
"""Texts that some YAML reader or terminal takes for something else."""


def uid(text: str) -> str:
    """Return an id of 32 digits for a text."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def run(run_id: str, **changes: Any) -> RunFacts:
    """Return a run as a plan has it."""
    facts = RunFacts(
        run_id=run_id,
        name=f"run {run_id[:4]}",
        experiment="phase2_training_with_pretrained_aligner",
        experiment_id="2",
        status="FINISHED",
        is_deleted=False,
        start="2026-02-01T03:12:27Z",
        artifact_uri=f"/store/2/{run_id}/artifacts",
        params={"learning_rate": "0.0003", "batch_size": "16"},
        metrics={"train_loss": 2.9476, "val_loss": 1e-5},
    )
    return replace(facts, **changes)


def entry(number: int, status: Status = Status.MATCHED, **changes: Any) -> Entry:
    """Return an entry as the planner makes it."""
    named = Entry(
        checkpoint=f"{ROOT}/{uid(f'old {number}')}_{STAMP}",
        root=ROOT,
        status=status,
        action=Action.SKIP,
        fingerprint=f"ino={number};n=2;bytes=10;tree=0123456789abcdef",
    )
    run_id = uid(f"run {number}")
    if status is Status.MATCHED:
        named = replace(
            named,
            action=Action.RENAME,
            run_id=run_id,
            target=f"{ROOT}/{run_id}_{STAMP}",
            confidence=0.999981,
            evidence=("for 20.0 bits, reference: the run's name says 'it'", "against 6.0 bits, prior: one run of 28"),
        )
    elif status is Status.LINKED:
        path = f"{ROOT}/{run_id}_{STAMP}"
        named = replace(named, checkpoint=path, target=path, run_id=run_id, confidence=1.0, action=Action.REPAIR)
        named = replace(named, reason="MLFLOW_RUN_ID.txt is missing")
    else:
        twins = (Candidate(run_id, 0.51, ("for 3.0 bits, time: near",)), Candidate(uid(f"twin {number}"), 0.48))
        named = replace(named, reason="2 runs fit, and no param tells them apart", candidates=twins)
    return replace(named, **changes)


def small_references() -> References:
    """Return references with one of each: a text to edit, a link to skip, mentions left alone."""
    old, new = entry(1).checkpoint, str(entry(1).target)
    text = Reference(
        file="configs/a.yaml",
        action=EditAction.EDIT,
        kind=MentionKind.TEXT,
        lines=(LineChange(3, f'a: "{old}"', f'a: "{new}"'),),
        at=(34, 120),
        encoding="utf-8",
        digest="5" * 64,
        note="tracked by git, with changes that are not committed",
    )
    link = replace(text, file="latest", kind=MentionKind.LINK, action=EditAction.SKIP, at=(0,), note=None)
    left = LeftAlone(LeftKind.WORD, "a part of a longer word", 3, ("a.txt", "b.txt"))
    return References(("configs", "."), searched=12, ignored=1, files=(text, link), left=(left,))


def small_plan(**changes: Any) -> Plan:
    """Return a plan of four entries: two matched, below two roots, one ambiguous, one linked with wrong manifests."""
    other = "/data/more"
    moved = entry(4, root=other, checkpoint=f"{other}/{uid('old 4')}_{STAMP}", target=f"{other}/{uid('run 4')}_{STAMP}")
    entries = (moved, entry(1), entry(2, Status.AMBIGUOUS), entry(3, Status.LINKED))
    named = {e.run_id for e in entries} | {c.run_id for e in entries for c in e.candidates}
    plan = Plan(
        created="2026-02-02T00:00:00Z",
        tool="ckpt-migrate test",
        migration="phase2_run_id",
        recipe_digest=RECIPE.digest,
        tracking_uri=("mlruns", "sqlite:///old.db"),
        roots=(other, ROOT),
        clock=Clock("Europe/Berlin", ("Europe/Paris",), "inferred", -0.5, 1.0, 22, 40.34, is_decisive=True),
        summary={
            "status": {"matched": 2, "ambiguous": 1, "unmatched": 0, "linked": 3, "busy": 0, "unreadable": 0},
            "action": {"rename": 2, "repair": 1, "skip": 3},
            "directories": {"legacy": 4},
        },
        runs={run_id: run(run_id) for run_id in sorted(str(run_id) for run_id in named if run_id is not None)},
        entries=entries,
        folder=FOLDER,
        links=(Link(f"{ROOT}/latest", entry(1).checkpoint.rpartition("/")[2], entry(1).checkpoint),),
        references=small_references(),
    )
    return replace(plan, **changes)


def parsed(text: str, folder: str = FOLDER) -> tuple[Plan | None, tuple[str, ...]]:
    """Parse a plan's text; return it without its lines, and the problems."""
    problems = Problems()
    found = parse_plan(text, folder, find_recipe, problems)
    if found is None:
        return None, problems.lines()
    plan, _ = found
    entries = tuple(replace(each, line=0, run_id_line=0) for each in plan.entries)
    if plan.references is not None:
        files = tuple(replace(each, line=0) for each in plan.references.files)
        plan = replace(plan, references=replace(plan.references, files=files))
    return replace(plan, entries=entries), problems.lines()


def find_recipe(_: str) -> Recipe:
    """Return the recipe of every plan here."""
    return RECIPE


TEXTS = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = TEXTS.map(lambda text: text.replace("/", "").replace("\0", "")).filter(lambda text: text not in {"", ".", ".."})
IDS = st.text("0123456789abcdef", min_size=32, max_size=32) | st.sampled_from(
    ["0" * 32, "1" * 31 + "e", "1e" + "0" * 30]
)
CONFIDENCES = st.floats(0, 1).map(lambda value: shown_confidence(value) or 0.0)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LINES = st.lists(TEXTS, max_size=3).map(tuple)
RUNS = st.builds(
    RunFacts,
    run_id=IDS,
    name=TEXTS,
    experiment=TEXTS,
    experiment_id=TEXTS,
    status=TEXTS,
    is_deleted=st.booleans(),
    start=st.none() | TEXTS,
    artifact_uri=st.none() | TEXTS,
    params=st.dictionaries(TEXTS, TEXTS, max_size=3),
    metrics=st.dictionaries(TEXTS, NUMBERS | st.just(float("inf")), max_size=3),
)
CLOCKS = st.builds(
    Clock,
    timezone=st.none() | TEXTS,
    same_as=LINES,
    source=TEXTS,
    offset_s=st.none() | NUMBERS,
    spread_s=st.none() | NUMBERS,
    directories=st.integers(0, 10**6),
    margin_nats=st.none() | NUMBERS | st.just(float("inf")),
    is_decisive=st.booleans(),
)


COUNTS = st.integers(0, 10**12)
REFERENCES = st.builds(
    References,
    paths=LINES,
    searched=COUNTS,
    ignored=COUNTS,
    files=st.lists(
        st.builds(
            Reference,
            file=TEXTS,
            action=st.sampled_from(EditAction),
            kind=st.sampled_from(MentionKind),
            lines=st.lists(st.builds(LineChange, line=COUNTS, before=TEXTS, after=TEXTS), max_size=2).map(tuple),
            at=st.lists(COUNTS, max_size=3).map(tuple),
            encoding=st.sampled_from(["utf-8", "latin-1", "utf-16-le", "utf-32-be"]),
            digest=TEXTS,
            note=st.none() | TEXTS,
        ),
        max_size=2,
    ).map(tuple),
    left=st.lists(
        st.builds(LeftAlone, kind=st.sampled_from(LeftKind), what=TEXTS, count=COUNTS, where=LINES), max_size=2
    ).map(tuple),
    leave_links=st.booleans(),
    tag_runs=st.booleans(),
)


@st.composite
def wild_plans(draw: st.DrawFn) -> Plan:
    """Return a plan that the planner could have made of a wild world."""
    roots = draw(st.lists(NAMES | NAMES.map(lambda name: f"/data/{name}"), min_size=1, max_size=2, unique=True))
    runs = {each.run_id: each for each in draw(st.lists(RUNS, max_size=4))}
    entries = {}
    for number in range(draw(st.integers(0, 4))):
        made = draw(st.sampled_from([Status.MATCHED, Status.LINKED, Status.AMBIGUOUS, Status.BUSY]).map(lambda s: (s,)))
        each = entry(number, *made)
        root = draw(st.sampled_from(roots))
        below = "/".join([root, *draw(st.lists(NAMES, max_size=2))])
        candidates = st.builds(Candidate, run_id=IDS, confidence=CONFIDENCES, evidence=LINES)
        entries[number] = replace(
            each,
            root=root,
            checkpoint=f"{below}/{each.checkpoint.rpartition('/')[2]}",
            target=None if each.target is None else f"{below}/{each.target.rpartition('/')[2]}",
            confidence=None if each.confidence is None else draw(CONFIDENCES),
            evidence=draw(LINES),
            reason=draw(st.none() | TEXTS),
            candidates=tuple(draw(st.lists(candidates, max_size=2))),
            fingerprint=draw(st.none() | TEXTS),
        )
    return Plan(
        created="2026-02-02T00:00:00Z",
        tool=draw(TEXTS),
        migration=draw(TEXTS),
        recipe_digest=draw(TEXTS),
        tracking_uri=tuple(draw(st.lists(TEXTS, min_size=1, max_size=2))),
        roots=tuple(roots),
        clock=draw(CLOCKS),
        summary={name: draw(st.dictionaries(TEXTS, st.integers(0, 9), max_size=2)) for name in SUMMARIES},
        runs=runs,
        entries=tuple(entries.values()),
        folder=FOLDER,
        links=tuple(draw(st.lists(st.builds(Link, path=TEXTS, text=TEXTS, checkpoint=TEXTS), max_size=2))),
        references=draw(st.none() | REFERENCES),
    )
