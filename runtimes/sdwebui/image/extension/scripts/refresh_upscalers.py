"""Gives SD WebUI a route that lists upscalers and hypernetworks again, which it does only at its start.

SD WebUI loads this as a built-in extension.
"""

from typing import Any

from modules import modelloader, script_callbacks, shared_items  # type: ignore[import-not-found]  # SD WebUI's own
from modules.call_queue import queue_lock  # type: ignore[import-not-found]  # SD WebUI's own


def _refresh() -> None:
    with queue_lock:  # between two jobs
        modelloader.load_upscalers()
        shared_items.reload_hypernetworks()


def _add_route(_demo: Any, app: Any) -> None:
    app.add_api_route("/sdapi/v1/refresh-upscalers", _refresh, methods=["POST"])


script_callbacks.on_app_started(_add_route)
