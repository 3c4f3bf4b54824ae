"""What was read, in little room: the same facts as if each were kept, and each equal one made once."""

from __future__ import annotations

from ckpt_migrate.evidence import found
from ckpt_migrate.evidence.found import Block, FactPool, Found, Sharing
from ckpt_migrate.evidence.records import Fact, FactKind

PAIRS: found.Pairs = (("a", 1), ("b", None), ("c", "x"), ("d", [1]))


def block(pairs: found.Pairs, source: str = "config.json") -> Block:
    return Block(source, "config", FactKind.PARAM, pairs)


def test_equal_pairs_are_kept_once_and_unlike_types_apart() -> None:
    """1, 1.0 and True compare equal, and are not the same text in a log."""
    sharing = Sharing()
    first = sharing.shared(PAIRS)
    assert sharing.shared(list(PAIRS)) is first
    for value in (1.0, True):
        other = sharing.shared([("a", value), *PAIRS[1:]])
        assert other is not first
        assert other[0][1].__class__ is value.__class__


def test_facts_are_sorted_by_file_then_key() -> None:
    """Of equal keys, the reader asked first comes first."""
    name = Block("last.ckpt", "file name", FactKind.COUNT, (("epoch", 3),))
    inside = Block("last.ckpt", "torch", FactKind.COUNT, (("step", 8), ("epoch", 4)))
    evidence = Found(((block(PAIRS[:1]),), (name, inside)), ()).evidence(FactPool())
    assert [(fact.source, fact.key, fact.value) for fact in evidence.facts] == [
        ("config.json", "a", 1),
        ("last.ckpt", "epoch", 3),
        ("last.ckpt", "epoch", 4),
        ("last.ckpt", "step", 8),
    ]


def test_equal_facts_are_one_object_until_there_are_too_many() -> None:
    pool = FactPool()
    one, other = pool.facts(block(PAIRS)), pool.facts(block((*PAIRS[:3], ("d", [1]))))
    assert one == other == [Fact(FactKind.PARAM, key, value, "config.json", "config") for key, value in PAIRS]
    assert [a is b for a, b in zip(one, other, strict=True)] == [True, True, True, False]
    assert [fact.value.__class__ for fact in pool.facts(block((("a", True), ("a", 1.0), ("a", 1))))] == [
        bool,
        float,
        int,
    ]
    many = tuple((f"key {number}", number) for number in range(found.MAX_POOLED + 1))
    assert len(pool.facts(block(many))) == len(many)
    assert not pool._known
