"""Diffusion models behind ``runtimes.flux.ports``. The only package that imports torch, diffusers and their kin."""
