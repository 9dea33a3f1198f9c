"""The platform's container images: built into ECR, and copied to where public registries are out of reach."""
