"""The plan: its records, how it is built, written and read."""
