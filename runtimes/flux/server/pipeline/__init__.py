"""Diffusion models behind ``runtimes.flux.server.ports``. Only this package imports torch and diffusers."""
