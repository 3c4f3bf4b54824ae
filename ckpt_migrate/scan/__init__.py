"""Scan: which checkpoint directories lie below the roots, judged by the disk alone."""
