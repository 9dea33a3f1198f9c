"""How well the queue agent keeps its GPU busy, beside the loop that one would write first."""
