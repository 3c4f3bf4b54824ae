"""Training configs: JSON, YAML and TOML, as params."""

from __future__ import annotations

import json
import sys
from datetime import date, time
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError, read_whole
from ckpt_migrate.evidence.flatten import flatten
from ckpt_migrate.evidence.found import Block
from ckpt_migrate.evidence.patterns import compile_patterns
from ckpt_migrate.evidence.records import FactKind

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator

    from ckpt_migrate.evidence.records import Fact, Scalar
    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

MAX_CONFIG_BYTES = 4 << 20
"""Largest config read, bytes. Configs are some kilobytes; a larger file by that name is a data set."""

FRAMEWORK_CONFIGS = ("**/hparams.yaml", "**/.hydra/config.yaml", "**/.hydra/overrides.yaml", "**/args.yaml")
"""Configs that Lightning, Hydra and Ultralytics write by themselves; the recipe names all others."""

_OVERRIDES = "overrides.yaml"


def config_paths(recipe: Recipe) -> re.Pattern[str]:
    """Return the expression for paths of configs, relative to their checkpoint directory; for `fullmatch`."""
    return compile_patterns((*recipe.configs, *FRAMEWORK_CONFIGS))


class ConfigReader:
    """Reads configs of every format as flat params."""

    name = "config"

    def __init__(self, recipe: Recipe) -> None:
        self._paths = config_paths(recipe)

    def wants(self, file: FileStat) -> bool:
        """Say whether a file is a config by its name."""
        return file.kind == "file" and self._paths.fullmatch(file.path) is not None

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Return a fact for every value."""
        return [fact for block in self.read_blocks(path, file) for fact in block.facts()]

    def read_blocks(self, path: str, file: FileStat) -> list[Block]:
        """Return the same as one block."""
        params = parse_config(read_whole(path, MAX_CONFIG_BYTES), file.path)
        return [Block(file.path, self.name, FactKind.PARAM, tuple(params))]


def parse_config(data: bytes, path: str) -> list[tuple[str, Scalar]]:
    """Return key and value of every param in a config; the ending of `path` says its format, JSON by default.

    Raises:
        ReaderError: It is not of that format, no mapping, or beyond the limits of `flatten`.
    """
    ending = path.rpartition(".")[2].lower()
    if ending in {"yaml", "yml"}:
        # Imported here: most trees hold no such config, and scanning them should not pay for the library.
        from ckpt_migrate.evidence.yaml_values import load_yaml  # noqa: PLC0415

        top = load_yaml(data)
        if isinstance(top, list) and path.endswith(_OVERRIDES):
            top = dict(_overrides(top))
    elif ending == "toml":
        return flatten(_load_toml(data), _reveal_toml)
    else:
        try:
            top = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ReaderError(f"no JSON: {error}") from error
    if not isinstance(top, dict):
        raise ReaderError("holds no mapping of keys to values")
    return flatten(top)


def _load_toml(data: bytes) -> object:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ReaderError(f"no TOML: {error}") from error


def _reveal_toml(value: object) -> object:
    """Return a date or time, the only objects that TOML has, as it is written."""
    return value.isoformat() if isinstance(value, (date, time)) else value


def _overrides(lines: list[object]) -> Iterator[tuple[str, object]]:
    """Yield key and value of Hydra's command-line overrides, such as `+model.lr=0.1`; `~key` deletes and says nothing.

    Values stay texts but for numbers and lists, which are written as in YAML.
    """
    from ckpt_migrate.evidence.yaml_values import load_yaml  # noqa: PLC0415 - see above

    for line in lines:
        key, equals, text = str(line).partition("=")
        if equals and not key.startswith("~"):
            try:
                value = load_yaml(text.encode("utf-8", "replace"))
            except ReaderError:
                value = text
            yield key.lstrip("+").partition("@")[0].replace(".", "/"), value
