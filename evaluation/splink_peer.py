"""Splink, the best-known library of record linkage, set up as its own tutorials do for this problem.

Times in levels, every param that both sides hold as an exact comparison with term frequencies, u from random pairs, m
by expectation maximisation; the pair is taken that Splink gives the highest probability, from a threshold up. It is
given the true time zone, like the other peers. In worlds of few directories it has little to learn from.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections import Counter
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ckpt_migrate.evidence.records import Evidence, FactKind
from ckpt_migrate.records import State
from evaluation.outcomes import Answer

if TYPE_CHECKING:
    from worlds import World

THRESHOLD = 0.999
"""Stated probability from which a pair is taken, the same that our own renames need."""
USUAL_THRESHOLD = 0.95
"""What Splink's tutorials take."""
START_LEVELS_S = (1.0, 5.0, 30.0, 300.0, 3600.0)
END_LEVELS_S = (2.0, 30.0, 300.0, 3600.0)
BLOCK_S = 600.0
"""Pairs are compared when they started in one or in neighbouring blocks of so many seconds, or ended so."""
MOST_PARAMS = 12
"""The params that vary most; those that never vary say nothing, and each one more slows expectation maximisation."""
SEED = 1


def is_installed() -> bool:
    """Say whether Splink is here; it comes with the extra `eval`."""
    return find_spec("splink") is not None


def splink_matches(world: World, *, threshold: float = THRESHOLD) -> list[Answer]:
    """Rename every legacy directory to the run that Splink pairs it with, where it is sure enough."""
    left, right = _checkpoints(world), _runs(world)
    if not left or not right:
        return [Answer(row["unique_id"], None, None) for row in left]
    keys = _varying(left, right)
    for row in (*left, *right):
        given = row.pop("params")
        row.update({f"p{i}": given.get(key) for i, key in enumerate(keys)})
    best: dict[str, tuple[float, str]] = {}
    for probability, one, other in _predict(left, right, len(keys)):
        best[one] = max(best.get(one, (0.0, "")), (probability, other))
    answers = []
    for row in left:
        probability, run_id = best.get(row["unique_id"], (0.0, ""))
        is_sure = probability >= threshold
        answers.append(Answer(row["unique_id"], run_id if is_sure else None, probability if is_sure else None))
    return answers


def _checkpoints(world: World) -> list[dict[str, Any]]:
    rows = []
    for one in world.checkpoints:
        if one.state is not State.LEGACY or one.name is None or one.name.local_time is None:
            continue
        stamp_s = one.name.local_time.replace(tzinfo=ZoneInfo(world.zones[one.path])).timestamp()
        newest_s = max((file.mtime_ns / 1e9 for file in one.files), default=None)
        facts = world.evidence.get(one.path, Evidence()).facts
        params = {_last(fact.key): _text(fact.value) for fact in facts if fact.kind is FactKind.PARAM}
        rows.append({"unique_id": one.path, "start_s": stamp_s, "end_s": newest_s, "params": params})
    return rows


def _runs(world: World) -> list[dict[str, Any]]:
    runs = world.store.runs()
    details = world.store.details([run.run_id for run in runs])
    rows = []
    for run in runs:
        start_s = None if run.start_utc_ms is None else run.start_utc_ms / 1000
        end_s = None if run.end_utc_ms is None else run.end_utc_ms / 1000
        params = {_last(key): _text(text) for key, text in details[run.run_id].params.items()}
        rows.append({"unique_id": run.run_id, "start_s": start_s, "end_s": end_s, "params": params})
    return rows


def _varying(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[str]:
    """Return the keys that both sides hold, those of most values first."""
    shared = {key for row in left for key in row["params"]} & {key for row in right for key in row["params"]}
    values = {key: Counter(row["params"].get(key) for row in right) for key in shared}
    varying = [key for key in shared if len(values[key]) > 1]
    return sorted(varying, key=lambda key: (-len(values[key]), key))[:MOST_PARAMS]


def _predict(left: list[dict[str, Any]], right: list[dict[str, Any]], param_count: int) -> list[tuple[float, str, str]]:
    """Return probability, checkpoint and run of every pair that Splink compared."""
    import duckdb  # noqa: PLC0415 - only who measures this peer needs it
    from splink import Linker, SettingsCreator  # noqa: PLC0415 - same
    from splink.backends.duckdb import DuckDBAPI  # noqa: PLC0415 - same
    from splink.comparison_library import CustomComparison, ExactMatch  # noqa: PLC0415 - same
    from splink.internals.exceptions import EMTrainingException  # noqa: PLC0415 - same

    blocks = [f"abs(l.{column} - r.{column}) < {BLOCK_S}" for column in ("start_s", "end_s")]
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=[
            CustomComparison(_levels("start_s", START_LEVELS_S), output_column_name="start_s"),
            CustomComparison(_levels("end_s", END_LEVELS_S), output_column_name="end_s"),
            *(ExactMatch(f"p{i}").configure(term_frequency_adjustments=True) for i in range(param_count)),
        ],
        probability_two_random_records_match=1 / max(2, len(right)),  # about one run for each directory
        blocking_rules_to_generate_predictions=[{"blocking_rule": block} for block in blocks],
    )
    with warnings.catch_warnings(), duckdb.connect() as connection:
        warnings.simplefilter("ignore")
        logging.getLogger("splink").setLevel(logging.CRITICAL)
        for name, rows in (("checkpoints", left), ("runs", right)):
            columns = {"unique_id": "VARCHAR", "start_s": "DOUBLE", "end_s": "DOUBLE"}
            columns |= {f"p{i}": "VARCHAR" for i in range(param_count)}
            connection.execute(f"CREATE TABLE {name} ({', '.join(f'{key} {kind}' for key, kind in columns.items())})")
            marks = ", ".join("?" for _ in columns)
            insert = f"INSERT INTO {name} VALUES ({marks})"  # noqa: S608 - the names are those above
            connection.executemany(insert, [[row[key] for key in columns] for row in rows])
        database = DuckDBAPI(connection)
        tables = [database.register(name) for name in ("checkpoints", "runs")]
        linker = Linker(tables, settings, log_level=None)
        linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=SEED)
        for block in blocks:
            # A block without pairs, or a level without a match, ends training; Splink's defaults stay.
            with contextlib.suppress(ValueError, EMTrainingException):
                linker.training.estimate_parameters_using_expectation_maximisation(
                    block, fix_probability_two_random_records_match=True, record_sample_proportion=1.0
                )
        found = linker.inference.predict().as_record_list()
    return [(row["match_probability"], row["unique_id_l"], row["unique_id_r"]) for row in found]


def _levels(column: str, thresholds: tuple[float, ...]) -> list[Any]:
    from splink.comparison_level_library import (  # noqa: PLC0415 - only who measures this peer needs it
        AbsoluteDifferenceLevel,
        ElseLevel,
        NullLevel,
    )

    return [NullLevel(column), *(AbsoluteDifferenceLevel(column, each) for each in thresholds), ElseLevel()]


def _text(value: object) -> str:
    return str(value)


def _last(key: str) -> str:
    return key.replace(".", "/").rpartition("/")[2]
