"""The driver for runtime type bedrock: image models of Amazon Bedrock, by InvokeModel."""
