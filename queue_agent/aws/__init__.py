"""SQS, SNS, S3 and DynamoDB through aiobotocore."""
