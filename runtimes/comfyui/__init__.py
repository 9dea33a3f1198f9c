"""The image of ComfyUI."""
