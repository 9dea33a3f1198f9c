"""The runtime types: a folder for each, and what their drivers share."""
