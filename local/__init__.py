"""The whole platform on one machine: AWS, API Gateway, and each runtime's agent and model server."""
