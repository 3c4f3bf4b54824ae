"""Evidence: what a checkpoint directory says about the run that made it."""
