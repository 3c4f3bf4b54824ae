"""References: what names a checkpoint directory by its old name, found, planned and edited."""
