"""Runtime type sdwebui: AUTOMATIC1111's SD WebUI."""
