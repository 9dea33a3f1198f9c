"""The process that is API Gateway and Lambda: ``python -m local.door``.

The environment is the Lambda's, plus API_KEYS_FILE, which ``local.api_key`` writes.
"""

import argparse
import logging
import os
import sys
from importlib import import_module
from pathlib import Path

from aiohttp import web

from api.services import Services
from api.stream_handler import StreamingShell
from local.api_key import key_ids
from local.gateway import Gateway


def main() -> None:
    """Serve the API's handler until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m local.door")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stage", required=True)
    parser.add_argument("--rate-limit", type=float, required=True)
    parser.add_argument("--burst-limit", type=int, required=True)
    settings = vars(parser.parse_args())
    host, port = settings.pop("host"), settings.pop("port")
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s")
    logging.getLogger("local").setLevel(logging.INFO)
    # Lambda makes one call at a time; here calls run in parallel, on more connections than the clients keep.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    keys, os.environ["API_KEYS"] = key_ids(Path(os.environ.pop("API_KEYS_FILE")))
    handler = import_module("api.handlers").handler  # which reads the environment
    for name in ("api.handlers", "api.stream_handler"):
        logging.getLogger(name).setLevel(logging.WARNING)  # the gateway logs each request
    shell = StreamingShell(Services.from_environment(os.environ))
    app = Gateway(handler, shell.respond, keys=keys, **settings).application()
    web.run_app(app, host=host, port=port, print=None, access_log=None, shutdown_timeout=2)


if __name__ == "__main__":
    main()
