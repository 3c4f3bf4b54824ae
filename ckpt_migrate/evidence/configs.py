"""Training configs: JSON, YAML and TOML, as params."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ckpt_migrate.evidence.files import ReaderError, read_whole
from ckpt_migrate.evidence.flatten import flatten
from ckpt_migrate.evidence.patterns import compile_patterns
from ckpt_migrate.evidence.records import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt_migrate.recipe import Recipe
    from ckpt_migrate.records import FileStat

MAX_CONFIG_BYTES = 4 << 20
"""Largest config read, bytes. Configs are some kilobytes; a larger file by that name is a data set."""

FRAMEWORK_CONFIGS = ("hparams.yaml", "hydra_config.yaml", ".hydra/config.yaml", ".hydra/overrides.yaml")
"""Configs that frameworks write by themselves; the recipe names all others."""


def is_config(path: str, recipe: Recipe) -> bool:
    """Say whether a path, relative to its checkpoint directory, is a training config's."""
    return path.endswith(FRAMEWORK_CONFIGS) or compile_patterns(recipe.configs).fullmatch(path) is not None


class ConfigReader:
    """Reads configs of every format as flat params."""

    name = "config"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def wants(self, file: FileStat) -> bool:
        """Say whether a file is a config by its name."""
        return file.kind == "file" and is_config(file.path, self._recipe)

    def read(self, path: str, file: FileStat) -> Iterable[Fact]:
        """Yield a fact for every value."""
        data = read_whole(path, MAX_CONFIG_BYTES)
        kind, source, reader = FactKind.PARAM, file.path, self.name
        for key, value in flatten(self._parse(data, file.path)):
            yield Fact(kind, key, value, source, reader)

    def _parse(self, data: bytes, path: str) -> object:
        ending = path.rpartition(".")[2].lower()
        try:
            if ending in {"yaml", "yml"}:
                import yaml  # noqa: PLC0415 - most trees hold no YAML config

                return yaml.safe_load(data)
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ReaderError(f"not {ending.upper()}: {error}") from error
