"""Keys: param names on both sides, brought under one form."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ckpt_migrate.matching.families.values import Params

WRAPPED_SHARE = 0.5
"""A first part that more of the keys than this share may be a wrapper around the whole config."""
MOST_LAYOUTS = 1 << 12
"""Sets of keys that are remembered: a project has a handful."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A set of keys, and where each stands in a row of values.

    Attributes:
        keys: The keys, sorted.
        places: The place of each.
        names: The keys as a set.
    """

    keys: tuple[str, ...]
    places: Mapping[str, int]
    names: frozenset[str]

    @staticmethod
    def of(keys: Iterable[str]) -> Layout:
        """Return the layout of these keys."""
        return _layout(tuple(sorted(keys)))


@lru_cache(maxsize=MOST_LAYOUTS)
def _layout(keys: tuple[str, ...]) -> Layout:
    return Layout(keys, {key: place for place, key in enumerate(keys)}, frozenset(keys))


Arrangement = tuple[Layout, "Sequence[int]"]
"""A layout, and for each of its keys the place of its value in another row."""


def arrange(places: Mapping[str, int]) -> Arrangement:
    """Return the arrangement of keys that each take their value from a place."""
    layout = Layout.of(places)
    return layout, [places[key] for key in layout.keys]


@lru_cache(maxsize=MOST_LAYOUTS)
def choose(keys: Sequence[str], ignored: KeyPatterns) -> Arrangement:
    """Return the arrangement of keys that are not ignored, normalised; the first of several that become one wins."""
    places: dict[str, int] = {}
    for place, key in enumerate(keys):
        if not ignored.matches(key):
            places.setdefault(normalise_key(key), place)
    return arrange(places)


@lru_cache(maxsize=MOST_LAYOUTS)
def within(layout: Layout, keys: frozenset[str]) -> Arrangement:
    """Return the arrangement of those of a layout's keys that are among some keys."""
    return arrange({key: place for key, place in layout.places.items() if key in keys})


def keys_of(params: Iterable[Params]) -> set[str]:
    """Return all keys that any of these has."""
    return {key for layout in {some.layout for some in params} for key in layout.keys}


def unwrap_configs(configs: Mapping[str, Params], logged: Collection[str]) -> dict[str, Params]:
    """Return configs without a wrapper that the log does not have.

    `config/optimizer/lr` becomes `optimizer/lr` when more keys are then found among the logged ones.

    Args:
        configs: By checkpoint path.
        logged: All keys that runs logged.
    """
    keys = keys_of(configs.values())
    tails = {tail for key in logged for tail in _tails(key)}
    firsts = Counter(key.partition("/")[0] for key in keys if "/" in key)
    best, wrapper = sum(key in tails for key in keys), ""
    for first, count in sorted(firsts.items()):
        found = sum(_without(key, first) in tails for key in keys)
        if count > WRAPPED_SHARE * len(keys) and found > best:
            best, wrapper = found, first
    if not wrapper:
        return dict(configs)
    arranged = {
        layout: arrange({_without(key, wrapper): place for key, place in reversed([*layout.places.items()])})
        for layout in {config.layout for config in configs.values()}
    }
    return {path: config.arranged(arranged.__getitem__) for path, config in configs.items()}


def align_keys(logged: Mapping[str, Params], wanted: Collection[str]) -> dict[str, Params]:
    """Return logged params under the keys that configs use, where a logger put something in front of them.

    `hparams/optimizer/lr` becomes `optimizer/lr` when only that is a key of a config. A key that a run has as it is
    always stays.

    Args:
        logged: By run id.
        wanted: All keys that configs have.
    """
    names: dict[str, str] = {}
    for key in keys_of(logged.values()):
        found = next((tail for tail in _tails(key) if tail in wanted), key)
        if found != key:
            names[key] = found
    if not names:
        return dict(logged)
    arranged = {layout: arrange(_aligned(layout, names)) for layout in {params.layout for params in logged.values()}}
    return {run_id: params.arranged(arranged.__getitem__) for run_id, params in logged.items()}


def _aligned(layout: Layout, names: Mapping[str, str]) -> dict[str, int]:
    """Return the place of each key under its new name; those that keep their name come first."""
    renamed = {names[key]: place for key, place in layout.places.items() if key in names}
    return {**renamed, **{key: place for key, place in layout.places.items() if key not in names}}


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
