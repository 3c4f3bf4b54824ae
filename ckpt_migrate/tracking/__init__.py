"""Tracking stores: where runs are read from. The only room that imports mlflow."""

from ckpt_migrate.tracking.opening import find_tracking_uris, open_stores
from ckpt_migrate.tracking.uri import mask_credentials

__all__ = ["find_tracking_uris", "mask_credentials", "open_stores"]
