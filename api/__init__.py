"""The front door: reads requests, names every fault, publishes tasks. One module per API version."""
