"""Matching: which run made which checkpoint, and how sure that is."""
