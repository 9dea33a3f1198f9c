"""Deploying the platform, and looking at what was deployed."""
