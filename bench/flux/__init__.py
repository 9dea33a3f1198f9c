"""Measures what the flux model server costs beside a bare loop over its pipeline, and what it gets out of a GPU."""
