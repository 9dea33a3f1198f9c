"""Two runtime types for tests; a type needs only a folder and a line in the registry."""
