"""Tests of the tracking stores."""
