"""Images of requests are decoded within limits and resized; drawn pictures are finished."""
