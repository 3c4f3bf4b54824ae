"""Tensors in a pickle, passed over in one step: they are most of a checkpoint's pickle and none of its evidence.

`torch.save` writes every tensor but the first as the same thirty opcodes, which a regular expression recognises
exactly: each alternative begins with another opcode, so that it can only match what the machine would have run.
What it does not recognise the machine runs, one opcode after the other, to the same result.
"""

from __future__ import annotations

import re

from ckpt_migrate.evidence.inert import Inert

TENSOR_NAME = "torch._utils._rebuild_tensor_v2"
_DICTIONARY_NAME = "collections.OrderedDict"

_GET = rb"(?:h.|j....)"
_PUT = rb"(?:q.|r....)"
_COUNT = rb"(?:K.|M..|J....)"
_SIZES = rb"(?:\)|(?:%(n)s\x85|%(n)s{2}\x86|%(n)s{3}\x87|\(%(n)s{4,8}t)%(p)s)" % {b"n": _COUNT, b"p": _PUT}
_TENSOR = re.compile(
    # The function; of the storage: kind, class, key, device, count.
    rb"(h.|j....)\(\(" + _GET * 2 + rb"X[\x01-\x07]\x00\x00\x00([0-9]{1,7})(q.|r....)" + _GET + _COUNT
    # Its tuple; offset, shape, strides, whether it needs a gradient, an empty dictionary of hooks; the call.
    + rb"t" + _PUT + rb"Q" + _COUNT + _SIZES * 2 + rb"[\x88\x89](h.|j....)\)R" + _PUT + rb"t" + _PUT + rb"R(q.|r....)",
    re.DOTALL,
)  # fmt: skip
_MOST_PARTS = 7


def pass_tensor(data: bytes, at: int, memo: dict[int, object]) -> tuple[Inert, int] | None:
    """Return the record of the tensor that begins at a position, and the position after it; None where none does.

    The memo gets what the opcodes would have put there: the storage's key as text, since equal short texts share one
    object and a config may refer to it; the tensor; and for the parts between them, which are made for each tensor
    anew and so never referred to, a stand-in.
    """
    match = _TENSOR.match(data, at)
    if match is None:
        return None
    function, key, first, hooks, last = match.groups()
    if not _names(memo, function, TENSOR_NAME) or not _names(memo, hooks, _DICTIONARY_NAME):
        return None
    start, end = int.from_bytes(first[1:], "little"), int.from_bytes(last[1:], "little")
    if not start < end <= start + _MOST_PARTS:
        return None
    # Made anew each time: a hostile pickle may store something in them.
    tensor, part = Inert(TENSOR_NAME, ()), Inert("part of a tensor", ())
    memo[start] = key.decode()
    for index in range(start + 1, end):
        memo[index] = part
    memo[end] = tensor
    return tensor, match.end()


def _names(memo: dict[int, object], get: bytes, name: str) -> bool:
    """Say whether a memo entry is a class or function of this name."""
    found = memo.get(int.from_bytes(get[1:], "little"))
    return isinstance(found, Inert) and found.name == name and found.arguments is None
