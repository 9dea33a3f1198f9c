"""Images of requests: decoded within limits, brought to size, and finished."""
