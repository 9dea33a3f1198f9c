"""Runtime type bedrock: image models of Amazon Bedrock, by InvokeModel."""
