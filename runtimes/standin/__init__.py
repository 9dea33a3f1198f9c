"""A small server that answers as SD WebUI or ComfyUI does and draws with Pillow instead of a model."""
