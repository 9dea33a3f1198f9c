"""Measures the flux server's overhead over a bare loop with its pipeline, and how well it uses a GPU."""
