"""How well the queue agent keeps its GPU busy, compared with a plain sequential loop."""
