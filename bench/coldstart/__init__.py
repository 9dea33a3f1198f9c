"""Stages of a start that a machine without a GPU can run, each against the same one as a plain start does it."""
