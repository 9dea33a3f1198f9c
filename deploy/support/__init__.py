"""What a deployment needs from an account and a region, and what they have."""
