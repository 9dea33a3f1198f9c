"""The image of sdwebui: its launcher."""
