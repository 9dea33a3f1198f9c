"""Structured logs: one JSON object a line. No prompt, no image."""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

_NOISE = {
    "transformers.utils.import_utils": "requires torchvision",
    "bitsandbytes.backends.cpu.ops": "CPU gemm_4bit_forward",
}
"""What libraries warn of at every start, by their loggers. torchvision would only scale images faster, once a request;
the other concerns models in 4 bit on the CPU, which this server does not have."""


class FluxJsonFormatter(JsonFormatter):
    """Writes time, level, logger, process, message, the record's own fields, and exception."""

    def __init__(self) -> None:
        super().__init__(
            "{levelname}{name}{process}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],
            json_ensure_ascii=False,
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Put the time first, in UTC with milliseconds."""
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        super().add_fields(log_data, record, message_dict)


def configure_logging(level: str) -> None:
    """Send all records to standard error as JSON; the libraries' own only from WARNING on, and without their noise."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FluxJsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("runtimes").setLevel(level)
    for name, words in _NOISE.items():
        logging.getLogger(name).addFilter(_without(words))  # a filter stays when a library sets its loggers up


def _without(words: str) -> Callable[[logging.LogRecord], bool]:
    return lambda record: words not in record.getMessage()
