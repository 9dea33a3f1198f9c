"""Makes the GPU ready while SD WebUI goes on importing; it calls ``preload`` when it first needs its arguments."""

from typing import Any

from runtimes import warm_up


def preload(_parser: Any) -> None:
    """Start; SD WebUI has PyTorch by now, and no argument is added to its own."""
    warm_up.start()
