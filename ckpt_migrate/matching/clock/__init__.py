"""The clock: from naive local stamps to UTC, with zone, lag and spread inferred from the data."""
