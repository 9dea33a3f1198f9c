"""Removes what InvokeAI keeps between the nodes of a graph: ``python -m runtimes.invokeai.image.removal ROOT``.

InvokeAI itself removes latents and encoded prompts only when it ends; of SDXL these are megabytes a picture.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

FORGOTTEN_S = 6 * 3600
"""No job runs so long."""
_EVERY_S = 60
_FOLDERS = ("tensors", "conditioning")


def remove_forgotten(root: Path, *, now_s: float | None = None) -> None:
    """Remove all such files that have not been written to for FORGOTTEN_S."""
    oldest_s = (time.time() if now_s is None else now_s) - FORGOTTEN_S
    for folder in _FOLDERS:
        for path in (root / "outputs" / folder).rglob("*"):
            with suppress(OSError):  # it may be gone already
                if path.is_file() and path.stat().st_mtime < oldest_s:
                    path.unlink()


if __name__ == "__main__":
    server = os.getppid()
    while os.getppid() == server:
        remove_forgotten(Path(sys.argv[1]))
        time.sleep(_EVERY_S)
