"""The twin of the HTTP endpoint of SageMaker's runtime."""
