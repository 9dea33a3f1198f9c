"""Removes a deployment, and says what stays."""
