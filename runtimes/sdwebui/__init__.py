"""The image of AUTOMATIC1111's SD WebUI."""
