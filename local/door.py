"""The process that is API Gateway and Lambda: ``python -m local.door``.

The environment is the Lambda's, plus API_KEY: a key must not be in a command line, which anybody can list.
"""

import argparse
import logging
import os
import sys

from aiohttp import web

from api.handlers import handler
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
    app = Gateway(handler, api_key=os.environ.pop("API_KEY"), **settings).application()
    web.run_app(app, host=host, port=port, print=None, access_log=None, shutdown_timeout=2)


if __name__ == "__main__":
    main()
