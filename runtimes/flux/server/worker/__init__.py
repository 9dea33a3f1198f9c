"""The processes that draw, one per GPU: the parent's handle, the protocol, and what runs inside."""
