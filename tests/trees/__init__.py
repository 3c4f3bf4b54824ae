"""Small trees of checkpoint directories with plans for them, made without any store; and crashes among them."""

from trees.tree import LONG_AGO_NS, Tree, facts, make_tree, run_id, set_time, stamp, uid

__all__ = ["LONG_AGO_NS", "Tree", "facts", "make_tree", "run_id", "set_time", "stamp", "uid"]
