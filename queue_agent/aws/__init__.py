"""SQS, SNS and S3 through aiobotocore."""
