"""How a config's values come to look on either side: as JSON in the directory, as text in the store."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt_migrate.evidence.records import Scalar

    from .configs import Config


@dataclass(frozen=True, slots=True)
class ParamFormat:
    """A project's way of logging params and of writing its config.

    Attributes:
        separator: Joins nested keys in the store: `/` (Lightning) or `.`.
        prefix: Stands before every logged key.
        limit: Longest logged value in characters; longer ones are cut.
        drops_long: Whether longer ones are left out instead.
        style: How a value becomes text: `str` (Python), `json`, or `repr` (strings keep their quotes).
        floats: `str`, `scientific` (2e-4 as a person writes it), or `float32` (what a tensor makes of it).
        config_numbers: How config.json holds numbers: `plain`, or `text` (YAML 1.1 reads 2e-4 as a string).
        config_wrap: A key under which config.json holds the whole config; empty for none.
    """

    separator: str = "/"
    prefix: str = ""
    limit: int = 6000
    drops_long: bool = False
    style: str = "str"
    floats: str = "str"
    config_numbers: str = "plain"
    config_wrap: str = ""

    def logged_key(self, key: str) -> str:
        """Return the key that the store has for a config key."""
        return self.prefix + key.replace("/", self.separator)

    def logged(self, config: Mapping[str, Scalar]) -> dict[str, str]:
        """Return the params that the store has for a config."""
        params: dict[str, str] = {}
        for key, value in config.items():
            text = self._text(value)
            if len(text) > self.limit:
                if self.drops_long:
                    continue
                text = text[: self.limit]
            params[self.logged_key(key)] = text
        return params

    def written(self, config: Mapping[str, Scalar]) -> Config:
        """Return the flattened config as it is read back from the directory."""
        wrap = f"{self.config_wrap}/" if self.config_wrap else ""
        return {wrap + key: self._config_value(value) for key, value in config.items()}

    def _config_value(self, value: Scalar) -> Scalar:
        if self.config_numbers == "text" and isinstance(value, float) and 0 < abs(value) < 0.01:
            return _scientific(value)
        return value

    def _text(self, value: Scalar) -> str:
        if isinstance(value, float):
            if self.floats == "scientific" and 0 < abs(value) < 0.01:
                return _scientific(value)
            if self.floats == "float32":
                return str(struct.unpack("f", struct.pack("f", value))[0])
        if self.style == "json" and not isinstance(value, str):
            return json.dumps(value)
        return repr(value) if self.style == "repr" else str(value)


def _scientific(value: float) -> str:
    """Return a number as people write it in configs.

    >>> _scientific(0.0002), _scientific(1e-05)
    ('2e-4', '1e-5')
    """
    mantissa, exponent = f"{value:e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def nest(flat: Mapping[str, Scalar]) -> dict[str, object]:
    """Return a flattened config as the nested object that config.json holds."""
    nested: dict[str, object] = {}
    for key, value in flat.items():
        *sections, name = key.split("/")
        here = nested
        for section in sections:
            here = here.setdefault(section, {})  # type: ignore[assignment]  # sections hold sections
        here[name] = value
    return nested
