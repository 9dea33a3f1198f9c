"""The image of invokeai: its launcher."""
