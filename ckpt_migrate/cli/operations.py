"""Operations in words: one a line, in their order, then what the marks mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt_migrate.cli import output
from ckpt_migrate.plan.words import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt_migrate.executor.operations import Step

MARKS = {"~": "changed", "+": "new", "-": "removed", "=": "kept"}


def print_operations(operations: Sequence[Step]) -> None:
    """Print what is done, or would be, and the legend of the marks that are used."""
    output.echo_lines(f"{operation.symbol} {operation.describe()}" for operation in operations)
    used = {operation.symbol for operation in operations}
    legend = ", ".join(f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in used)
    if legend:
        output.tell(f"\n{count(len(operations), 'operation')} in this order: {legend}.")
