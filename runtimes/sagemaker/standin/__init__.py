"""Stands in for SageMaker's runtime: endpoints over HTTP, as boto3 calls them."""
