"""The platform's container images: built into ECR, or mirrored there if no public registry is reachable."""
