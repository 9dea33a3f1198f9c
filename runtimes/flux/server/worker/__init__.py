"""A worker: the process that has one GPU."""
