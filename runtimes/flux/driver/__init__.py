"""The driver for runtime type flux: diffusers pipelines behind the project's own server."""
