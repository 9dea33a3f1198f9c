"""The front door: takes requests in, each version of the API by a face of its own, and publishes their tasks."""
