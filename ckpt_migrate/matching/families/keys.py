"""Keys: param names on both sides, brought under one form."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ckpt_migrate.matching.families.compare import Params

WRAPPED_SHARE = 0.5
"""A first part that more of the keys than this share may be a wrapper around the whole config."""


@lru_cache(maxsize=1 << 16)
def normalise_key(key: str) -> str:
    """Return a param's key with one separator, as Lightning joins nested keys.

    >>> normalise_key("optimizer.LR"), normalise_key("optimizer/lr")
    ('optimizer/lr', 'optimizer/lr')
    """
    return key.replace(".", "/").lower()


class KeyPatterns:
    """Shell patterns over keys, without regard to case or separator."""

    def __init__(self, patterns: Iterable[str]) -> None:
        texts = [fnmatch.translate(normalise_key(pattern)) for pattern in patterns]
        self._pattern = re.compile("|".join(texts)) if texts else None
        self._known: dict[str, bool] = {}

    def matches(self, key: str) -> bool:
        """Say whether any pattern matches the whole key."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._pattern is not None and self._pattern.match(normalise_key(key)) is not None
        return known


def unwrap_configs(configs: Mapping[str, Params], logged: Collection[str]) -> dict[str, Params]:
    """Return configs without a wrapper that the log does not have.

    `config/optimizer/lr` becomes `optimizer/lr` when more keys are then found among the logged ones.

    Args:
        configs: By checkpoint path.
        logged: All keys that runs logged.
    """
    counts = Counter(key for config in configs.values() for key in config)
    tails = {tail for key in logged for tail in _tails(key)}
    firsts = Counter(key.partition("/")[0] for key in counts if "/" in key)
    best, wrapper = sum(key in tails for key in counts), ""
    for first, count in sorted(firsts.items()):
        found = sum(_without(key, first) in tails for key in counts)
        if count > WRAPPED_SHARE * len(counts) and found > best:
            best, wrapper = found, first
    if not wrapper:
        return dict(configs)
    return {
        path: type(config)({_without(key, wrapper): value for key, value in reversed(config.items())})
        for path, config in configs.items()
    }


def align_keys(logged: Mapping[str, Params], wanted: Collection[str]) -> dict[str, Params]:
    """Return logged params under the keys that configs use, where a logger put something in front of them.

    `hparams/optimizer/lr` becomes `optimizer/lr` when only that is a key of a config. A key that a run has as it is
    always stays.

    Args:
        logged: By run id.
        wanted: All keys that configs have.
    """
    names: dict[str, str] = {}
    for key in {key for params in logged.values() for key in params}:
        found = next((tail for tail in _tails(key) if tail in wanted), key)
        if found != key:
            names[key] = found
    if not names:
        return dict(logged)
    return {
        run_id: type(params)(
            {
                **{names[key]: value for key, value in params.items() if key in names},
                **{key: value for key, value in params.items() if key not in names},
            }
        )
        for run_id, params in logged.items()
    }


def _tails(key: str) -> Iterable[str]:
    """Yield a key, then what is left of it without its first parts.

    >>> list(_tails("hparams/optimizer/lr"))
    ['hparams/optimizer/lr', 'optimizer/lr', 'lr']
    """
    yield key
    while "/" in key:
        key = key.partition("/")[2]
        yield key


def _without(key: str, first: str) -> str:
    return key[len(first) + 1 :] if key.startswith(f"{first}/") else key
