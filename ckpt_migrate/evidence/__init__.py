"""Evidence: what a checkpoint directory says about the run that made it."""

from ckpt_migrate.evidence.cache import cache_folder
from ckpt_migrate.evidence.reading import Reader, read_all, read_evidence

__all__ = ["Reader", "cache_folder", "read_all", "read_evidence"]
