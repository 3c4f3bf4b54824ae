"""Reviewing a plan: what a person settles in it, and what speaks against their choice."""
