"""ComfyUI; written against 0.3.64, whose jobs carry a prompt id chosen by the client (0.3.44 and later)."""
