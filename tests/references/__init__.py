"""Tests of what mentions old names."""
