"""Stands in for Amazon Bedrock: InvokeModel over HTTP, as boto3 calls it."""
