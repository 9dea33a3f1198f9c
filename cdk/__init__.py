"""The platform's infrastructure on AWS: one construct per capability, composed by ``cdk.stack``."""
