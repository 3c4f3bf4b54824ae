"""Give legacy checkpoint directories the id of the MLflow run that made them.

The verbs for notebooks and scripts live in :mod:`ckpt_migrate.api`.
"""

__version__ = "0.1.0"
