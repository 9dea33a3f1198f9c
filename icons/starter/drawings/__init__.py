"""What each icon looks like: a module per category, each with the table ``DRAWINGS`` by key."""
