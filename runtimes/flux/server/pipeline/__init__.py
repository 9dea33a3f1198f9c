"""Diffusion models that implement ``runtimes.flux.server.ports``. Only this package imports torch and diffusers."""
