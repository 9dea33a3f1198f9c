"""The answers of ComfyUI 0.3.64."""
