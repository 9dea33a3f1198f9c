"""Runs the flux server with a painting pipeline: ``python -m runtimes.flux.standin``; the environment sets the rest."""

import os

from runtimes.flux.server.__main__ import main

if __name__ == "__main__":
    os.environ.setdefault("MODEL_OPTIONS", '{"profile": "flux-dev"}')
    os.environ.setdefault("PIPELINE", "runtimes.flux.standin.painting:load")
    main()
