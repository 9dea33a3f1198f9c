"""The processes that draw, one for each GPU: their parent's handle, the protocol, and what runs inside."""
