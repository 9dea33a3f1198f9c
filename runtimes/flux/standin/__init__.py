"""A stand-in for the FLUX server's diffusion pipelines: it paints without a model and without torch."""
