"""Several stores read as one: a run that lies in two of them counts once."""

from __future__ import annotations

import heapq
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NoReturn

from ckpt_migrate.errors import StoreError
from ckpt_migrate.tracking.preference import preference

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ckpt_migrate.tracking.records import (
        ArtifactFile,
        Mention,
        MetricPoint,
        Run,
        RunDetails,
        RunStore,
        StoreWarning,
    )

ROUNDED_MS = 1000
"""What two records of one run's start may differ by: a store of old may have kept whole seconds."""
MOST_SHOWN = 5


class MergedStore:
    """Several stores; implements `RunStore`.

    Of a run that several hold, the record that says more counts, at equality that of the store named first. Two records
    that start at different times are not of one run, whatever their ids say; nobody can tell which one is true.

    Args:
        stores: The stores, closed with this one.
    """

    def __init__(self, stores: Sequence[RunStore]) -> None:
        self._stores = tuple(stores)
        self._owners: dict[str, RunStore] | None = None
        self._runs: tuple[Run, ...] = ()

    @property
    def uri(self) -> str:
        """The stores' URIs, separated by a comma and a blank, credentials masked."""
        return ", ".join(store.uri for store in self._stores)

    @property
    def warnings(self) -> Sequence[StoreWarning]:
        """What was passed over so far, store by store."""
        return tuple(warning for store in self._stores for warning in store.warnings)

    def runs(self) -> Sequence[Run]:
        """Return every run once, sorted by run id.

        Raises:
            StoreError: Two stores tell of different runs under one id.
        """
        self._read_owners()
        return self._runs

    def details(self, run_ids: Collection[str]) -> Mapping[str, RunDetails]:
        """Return params, tags and last metrics of these runs; unknown ids are left out."""
        wanted: dict[int, list[str]] = {}
        owners = self._read_owners()
        for run_id in set(run_ids):
            if run_id in owners:
                wanted.setdefault(self._stores.index(owners[run_id]), []).append(run_id)
        found: dict[str, RunDetails] = {}
        for index in sorted(wanted):
            found.update(self._stores[index].details(wanted[index]))
        return {run_id: found[run_id] for run_id in sorted(found)}

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[Mention]:
        """Yield every matching text once, sorted by run id, from the store whose record of the run counts."""
        self._read_owners()
        streams = [self._own_mentions(store, pattern) for store in self._stores]
        yield from heapq.merge(*streams, key=lambda hit: hit.run_id)

    def metric_histories(self, run_id: str) -> Mapping[str, Sequence[MetricPoint]]:
        """Return every logged point of every metric of a run, sorted by step, then time."""
        owner = self._read_owners().get(run_id)
        return {} if owner is None else owner.metric_histories(run_id)

    def artifact_files(self, run_id: str) -> Sequence[ArtifactFile]:
        """Return a run's artifacts from its own store, or else from any that has them within reach."""
        owner = self._read_owners().get(run_id)
        if owner is None:
            return ()
        others = (store for store in self._stores if store is not owner)
        return next((files for store in (owner, *others) if (files := store.artifact_files(run_id))), ())

    def close(self) -> None:
        """Close every store."""
        for store in self._stores:
            store.close()

    def _own_mentions(self, store: RunStore, pattern: re.Pattern[str]) -> Iterator[Mention]:
        owners = self._read_owners()
        return (hit for hit in store.mentions(pattern) if owners.get(hit.run_id) is store)

    def _read_owners(self) -> Mapping[str, RunStore]:
        if self._owners is None:
            best: dict[str, tuple[Run, RunStore]] = {}
            contradicting: list[str] = []
            for store in self._stores:
                for run in store.runs():
                    other = best.get(run.run_id)
                    if other is not None and _contradict(run, other[0]):
                        contradicting.append(f"run {run.run_id}: {_words(other[0])}, {_words(run)}")
                    if other is None or preference(run) > preference(other[0]):
                        best[run.run_id] = (run, store)
            if contradicting:
                _refuse(contradicting)
            self._runs = tuple(best[run_id][0] for run_id in sorted(best))
            self._owners = {run_id: store for run_id, (_, store) in best.items()}
        return self._owners


def _contradict(one: Run, other: Run) -> bool:
    """Say whether two records cannot be of one run; a start that one of them lacks contradicts nothing."""
    if one.start_utc_ms is None or other.start_utc_ms is None:
        return False
    return abs(one.start_utc_ms - other.start_utc_ms) > ROUNDED_MS


def _words(run: Run) -> str:
    start = datetime.fromtimestamp((run.start_utc_ms or 0) // 1000, timezone.utc)
    return f"started {start:%Y-%m-%dT%H:%M:%SZ} in {run.store}"


def _refuse(contradicting: Sequence[str]) -> NoReturn:
    shown = tuple(contradicting[:MOST_SHOWN])
    more = len(contradicting) - len(shown)
    raise StoreError(
        f"the stores tell of different runs under {len(contradicting):,} equal ids",
        problems=shown if not more else (*shown, f"and {more:,} more"),
        remedy="Name only the store that wrote the checkpoints' runs; one of them was made or edited by other means.",
    )
