"""What travels between the parts of the platform: tasks, notices, their envelopes and names, and errors in them."""
