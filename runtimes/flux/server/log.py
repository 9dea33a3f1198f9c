"""Structured logs: one JSON object per line, without prompts or images."""

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
"""Warnings that libraries log at every start, by logger. torchvision would only speed up the scaling of images, once
per request; the other one is about 4-bit models on the CPU, which this server does not run."""


class FluxJsonFormatter(JsonFormatter):
    """Writes time, level, logger, process, message, the record's own fields and the exception."""

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
    """Log to standard error as JSON. Libraries log only from WARNING up, and without the noise."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FluxJsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("runtimes").setLevel(level)
    for name, words in _NOISE.items():
        logging.getLogger(name).addFilter(_without(words))  # a filter survives when a library configures its loggers


def _without(words: str) -> Callable[[logging.LogRecord], bool]:
    return lambda record: words not in record.getMessage()
