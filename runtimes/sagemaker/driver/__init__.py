"""The driver of runtime type sagemaker."""
