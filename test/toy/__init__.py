"""Two runtime types that no product has: a folder and a line in the registry are all that they need."""
