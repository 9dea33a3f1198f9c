"""Jobs, and the scheduler that gives them to workers."""
