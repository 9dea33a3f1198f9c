"""Tiny models of the real classes with random weights: for tests, demonstrations and machines without a GPU."""
