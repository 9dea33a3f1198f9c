"""A model server for diffusers pipelines: FLUX, Kontext, Fill, Qwen-Image-Edit, SDXL, SD3."""
