"""Reviewing a plan."""
