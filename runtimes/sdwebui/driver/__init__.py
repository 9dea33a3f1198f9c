"""AUTOMATIC1111's Stable Diffusion web UI; written against 1.10.1."""
