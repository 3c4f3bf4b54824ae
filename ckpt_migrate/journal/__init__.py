"""The journal: what was done, written ahead of each change and kept for good."""
