"""The process that is AWS: ``python -m local.aws_server``. Without --keep, everything is in memory and ends with it."""

import argparse
import json
import logging
import os
import sys
import threading
from pathlib import Path

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.access import demanding
from local.atomic_writes import mend_writes
from local.aws import provision
from local.kept.database import FormatError
from local.kept.store import KeptAws
from local.long_poll import mend_long_poll
from local.spared_work import spare_work
from local.streams import mend_streams
from local.subscriptions import mend_subscriptions, serves_links
from runtimes.catalog import RuntimeCatalog


def main() -> None:
    """Provision, then listen: a client that reaches the port finds everything in place, also after a restart."""
    parser = argparse.ArgumentParser(prog="python -m local.aws_server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--runtimes", type=Path, required=True, help="runtimes.json")
    parser.add_argument("--input-bucket", action="append", default=[])
    parser.add_argument("--keep", type=Path, help="folder that keeps everything")
    parser.add_argument("--lifetimes", type=json.loads, default={}, help="JSON: days by prefixes of objects' keys")
    arguments = parser.parse_args()

    # Its request log says "POST /" for every request.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s", level=logging.WARNING)
    spare_work()
    mend_long_poll()
    mend_streams()
    mend_writes()
    mend_subscriptions(f"http://127.0.0.1:{arguments.port}")
    app = serves_links(DomainDispatcherApplication(create_backend_app))
    store = None
    if arguments.keep is not None:
        try:
            store = KeptAws(arguments.keep, arguments.lifetimes)
        except FormatError as exc:
            sys.exit(f"ERROR {exc}")
        app = demanding(store.keeping(app), os.environ["AWS_ACCESS_KEY_ID"])
    backstage = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=backstage.serve_forever, name="backstage", daemon=True).start()
    catalog = RuntimeCatalog.from_json(arguments.runtimes.read_text(encoding="utf-8"))
    provision(f"http://127.0.0.1:{backstage.server_port}", catalog, input_buckets=arguments.input_bucket)
    backstage.shutdown()
    if store is not None:
        store.begin()

    server = make_server("127.0.0.1", arguments.port, app, threaded=True, request_handler=MotoRequestHandler)
    server.serve_forever()


if __name__ == "__main__":
    main()
