"""The image of comfyui: its launcher."""
