"""The front door: reads requests, names every error, publishes tasks. One module per API version."""
