"""A small server that answers like SD WebUI or ComfyUI, and draws with Pillow instead of a model."""
