"""One start of a server, as a process: ``python -m bench.coldstart MODEL COPY NETWORK_MB_S READER_MB_S``.

It imports PyTorch and loads a model, as model servers do; prints the seconds that this took. With a COPY other than
``-`` the model is copied there meanwhile, by the code that the images use.
"""

import subprocess
import sys
import time
from pathlib import Path


def main(model: Path, copy: Path | None, *rates: str) -> None:
    """Start, and print how long it took."""
    began_s = time.monotonic()
    copying = None
    if copy is not None:
        copying = subprocess.Popen([sys.executable, "-m", "bench.coldstart.bucket", model, copy, *rates])
    import torch  # noqa: F401, PLC0415 (what is measured)
    from safetensors.torch import load  # noqa: PLC0415 (the same)

    if copying is not None and copying.wait() == 0 and copy is not None:
        content = copy.read_bytes()
    else:
        from bench.coldstart.bucket import throttled  # noqa: PLC0415 (nothing but the imports comes before)

        with throttled(model, *rates).open("rb", buffering=0) as file:
            content = file.read()
    load(content)
    print(time.monotonic() - began_s)


if __name__ == "__main__":
    main(Path(sys.argv[1]), None if sys.argv[2] == "-" else Path(sys.argv[2]), *sys.argv[3:])
