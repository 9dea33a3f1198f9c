"""What the parts agree on about runtimes of type flux: models, their options, and requests."""
