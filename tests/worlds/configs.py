"""Training configs as projects have them: many constants, a few knobs, one knob turned at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from ckpt_migrate.evidence.records import Scalar

Config = dict[str, "Scalar"]
"""A config, flattened: nested keys are joined by `/`."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A key that people turn, and the values they turn it to; the first is the default."""

    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """A project's config: what never changes, and what is turned."""

    constants: Mapping[str, Scalar]
    knobs: tuple[Knob, ...]
    seed_key: str | None

    @property
    def defaults(self) -> Config:
        """The config before anybody has turned a knob."""
        config = dict(self.constants) | {knob.key: knob.values[0] for knob in self.knobs}
        if self.seed_key is not None:
            config[self.seed_key] = 42
        return config

    def turn(self, rng: Random, config: Mapping[str, Scalar], turns: int) -> Config:
        """Return the config with so many knobs set to another value."""
        changed = dict(config)
        for knob in rng.sample(self.knobs, min(turns, len(self.knobs))):
            changed[knob.key] = rng.choice([value for value in knob.values if value != changed[knob.key]])
        return changed

    def wander(self, rng: Random, config: Mapping[str, Scalar]) -> Config:
        """Return the next config that a person tries: mostly one knob away, often the same again."""
        if rng.random() < 0.06:
            return self.defaults
        return self.turn(rng, config, rng.choices((0, 1, 2, 3), (25, 50, 18, 7))[0])

    def shaken(self, rng: Random) -> Config:
        """Return a config at which a project may begin: some knobs away from their defaults."""
        return self.turn(rng, self.defaults, rng.randrange(len(self.knobs) + 1))


_LEARNING_RATES = (2e-4, 1e-4, 3e-4, 5e-5, 1e-3, 5e-4, 2e-5, 1e-5)
_KNOBS: tuple[Knob, ...] = (
    Knob("training/batch_size", (32, 16, 64, 8, 128)),
    Knob("training/epochs", (10, 5, 20, 3, 30)),
    Knob("optimizer/weight_decay", (0.01, 0.0, 0.1, 0.001)),
    Knob("optimizer/warmup_steps", (500, 0, 100, 1000)),
    Knob("optimizer/name", ("adamw", "adam", "sgd", "lion")),
    Knob("model/dropout", (0.1, 0.0, 0.2, 0.3)),
    Knob("model/hidden_size", (768, 512, 1024, 256)),
    Knob("model/num_layers", (6, 4, 8, 12, 2)),
    Knob("model/model_name", ("t5-base", "t5-small", "gpt2", "bert-base-uncased")),
    Knob("model/freeze_encoder", (True, False)),
    Knob("data/max_length", (256, 128, 512)),
    Knob("data/augment", (False, True)),
    Knob("loss/label_smoothing", (0.0, 0.1, 0.05)),
    Knob("loss/temperature", (0.07, 0.1, 0.05, 0.5)),
    Knob("training/grad_clip", (1.0, None, 0.5, 5.0)),
    Knob("training/accumulate", (1, 2, 4, 8)),
    Knob("data/fraction", (1.0, 0.1, 0.5)),
    Knob("model/layers", ([256, 128], [512, 256], [512, 256, 128])),
    Knob("lora/rank", (8, 4, 16, 32)),
    Knob("lora/alpha", (16, 32, 8)),
)
_CONSTANTS: Mapping[str, Scalar] = {
    "data/dataset": "coco_captions_2017",
    "data/train_split": "train",
    "data/val_split": "validation",
    "data/num_workers": 4,
    "data/pin_memory": True,
    "data/shuffle": True,
    "data/image_size": 224,
    "data/mean": [0.485, 0.456, 0.406],
    "data/std": [0.229, 0.224, 0.225],
    "data/cache": None,
    "model/activation": "gelu",
    "model/attention_heads": 8,
    "model/init_std": 0.02,
    "model/layer_norm_eps": 1e-05,
    "model/tie_weights": True,
    "model/pooling": "mean",
    "model/vocab_size": 32128,
    "optimizer/betas": [0.9, 0.999],
    "optimizer/eps": 1e-08,
    "optimizer/scheduler": "cosine",
    "optimizer/min_lr": 0.0,
    "training/precision": "16-mixed",
    "training/gpus": 1,
    "training/strategy": "auto",
    "training/log_every": 50,
    "training/val_every": 1.0,
    "training/early_stopping": False,
    "training/patience": 5,
    "training/deterministic": False,
    "training/compile": False,
    "training/project": "aligner",
    "training/notes": None,
    "eval/num_beams": 4,
    "eval/metrics": ["bleu", "cider"],
    "eval/max_new_tokens": 64,
    "eval/batch_size": 64,
    "device": "cuda",
    "version": "0.3.1",
    "phase": 2,
    "data/prompt": (
        "Describe the picture in one sentence, as a careful reader would, naming every object that can be seen, "
        "its colour, its place and what it is doing; do not guess at what cannot be seen, and write nothing "
        "after the sentence. Answer in English. Use no more than thirty words, and no proper names at all."
    ),
}


def draw_schema(rng: Random, *, seed_key: bool | None = None) -> Schema:
    """Return a project's config of 10 to 40 keys, three to eight of them knobs; nested in some projects.

    Args:
        rng: Where its choices come from.
        seed_key: Whether the config has a random seed; None leaves it to chance.
    """
    knobs = [Knob(rng.choice(("optimizer/learning_rate", "training/lr")), _LEARNING_RATES)]
    knobs += rng.sample(_KNOBS, rng.randint(2, 7))
    keys = [key for key in _CONSTANTS if rng.random() < 0.7]
    constants = {key: _CONSTANTS[key] for key in keys[: rng.randint(8, 32)]}
    has_seed = rng.random() < 0.7 if seed_key is None else seed_key
    schema = Schema(constants, tuple(knobs), "training/seed" if has_seed else None)
    return schema if rng.random() < 0.6 else _flat(schema)


def _flat(schema: Schema) -> Schema:
    """Return the schema of a project that does not nest its config."""

    def last(key: str) -> str:
        section, _, name = key.rpartition("/")
        return f"{section}_{name}" if section in {"eval", "lora"} else name

    return Schema(
        {last(key): value for key, value in schema.constants.items()},
        tuple(Knob(last(knob.key), knob.values) for knob in schema.knobs),
        None if schema.seed_key is None else last(schema.seed_key),
    )
