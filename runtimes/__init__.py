"""The model servers: one folder holds one image, and the stand-in that draws without a model."""
