"""What ends a verification before its tasks do."""


class VerifyError(Exception):
    """The platform cannot be verified; the message says why and what to do."""
