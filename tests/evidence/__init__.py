"""Tests of the evidence readers, and the files that they are tested on."""
