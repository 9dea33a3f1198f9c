"""The answers of SD WebUI 1.10.1."""
