"""The model: what is known of each checkpoint, its candidate runs, their weights, and the ghosts beside them."""
