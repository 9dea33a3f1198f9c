"""A stand-in for the diffusion pipelines of the FLUX server: it paints, without a model and without torch."""
