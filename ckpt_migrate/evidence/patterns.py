"""Shell patterns over relative paths, as recipes write them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKEN = re.compile(r"\*\*/|\*|\?|[^*?]+")
_WILDCARDS = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}


@lru_cache(maxsize=256)
def _compile(patterns: tuple[str, ...]) -> re.Pattern[str]:
    bodies = [
        "".join(_WILDCARDS.get(token) or re.escape(token) for token in _TOKEN.findall(pattern)) for pattern in patterns
    ]
    # Without patterns nothing matches; an empty alternation would match the empty path.
    return re.compile("|".join(bodies) or r"(?!)", re.IGNORECASE | re.DOTALL)


def compile_patterns(patterns: Sequence[str]) -> re.Pattern[str]:
    """Return one expression, for `fullmatch`, that accepts what any of the patterns accepts.

    `*` and `?` stay within one directory, so that `*.ckpt` is about the directory itself and
    `lightning_checkpoints/*.ckpt` about the folder below it; `**/` is any number of folders. Case is not regarded.

    >>> found = compile_patterns(("*.ckpt", "**/config.json"))
    >>> [bool(found.fullmatch(path)) for path in ("last.ckpt", "a/b/CONFIG.json", "a/last.ckpt")]
    [True, True, False]
    """
    return _compile(tuple(patterns))
