"""Evidence: what a checkpoint directory says about the run that made it."""

from ckpt_migrate.evidence.reading import Reader, read_all, read_evidence

__all__ = ["Reader", "read_all", "read_evidence"]
