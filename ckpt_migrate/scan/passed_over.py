"""What a scan found and no plan or verification is about, so that nobody takes silence for all being well."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ckpt_migrate.records import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt_migrate.records import Checkpoint

MOST_REASONS = 3


def passed_over_note(checkpoints: Iterable[Checkpoint]) -> tuple[str, ...]:
    """Return one sentence about the checkpoints that no entry is about; none where there are none.

    Args:
        checkpoints: As scanned.
    """
    reasons = Counter(c.reason or c.state.value for c in checkpoints if c.state in {State.OTHER, State.LOOSE})
    if not reasons:
        return ()
    total = sum(reasons.values())
    counted = [f"{count:,}: {reason}" for reason, count in reasons.most_common(MOST_REASONS)]
    if len(reasons) > MOST_REASONS:
        counted.append("and other reasons")
    verb = "checkpoint was" if total == 1 else "checkpoints were"
    return (f"{total:,} {verb} passed over for the name ({'; '.join(counted)}); `ckpt-migrate scan` lists them",)
