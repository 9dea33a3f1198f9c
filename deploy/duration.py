"""How long something took, in words."""

_MINUTE_S = 60


def in_words(seconds: float) -> str:
    """As ``4.2 s`` or ``12 min 05 s``."""
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes} min {rest:02} s"
