"""Runtime type sagemaker: an endpoint of SageMaker, asynchronous or in real time."""
