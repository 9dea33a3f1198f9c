"""How much a task may bring along to a model server."""

_MIB = 1024 * 1024

MAX_CONTENT_BYTES = 16 * _MIB
"""Of a task's content, where it lies in the output bucket; images in base64 may stand in it."""
MAX_LINK_BYTES = 64 * _MIB
"""Of what one link leads to."""
MAX_LINKED_BYTES = 128 * _MIB
"""Of what all links of one task lead to."""
MAX_PIXELS = 64_000_000
"""Of a picture that is unpacked; a program takes 12 bytes for each."""
