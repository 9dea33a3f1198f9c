"""What a deployment needs of an account and a region, and what is there."""
