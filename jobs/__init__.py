"""The job store: what a job is, the commands that change one with their conditions, and the store that sends them."""
