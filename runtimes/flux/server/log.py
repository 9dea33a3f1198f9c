"""Structured logs: one JSON object a line. No prompt, no image."""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

_NO_USE: Mapping[str, str] = {
    "transformers.utils.import_utils": "requires torchvision",
    "bitsandbytes.backends.cpu.ops": "CPU gemm_4bit_forward",
}
"""What libraries warn of at every start, by their loggers. torchvision would only scale images faster that are scaled
once a request; the other is for models in 4 bit on the CPU, where this server quantizes none."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: time, level, message and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in {*_STANDARD, "process"}},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: str) -> None:
    """Send all records to standard error as JSON; the libraries' own only from WARNING on, and if they are of use."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("runtimes").setLevel(level)
    for name, words in _NO_USE.items():
        logging.getLogger(name).addFilter(_without(words))  # stays when a library sets its loggers up


def _without(words: str) -> Callable[[logging.LogRecord], bool]:
    """A filter that keeps records back whose message contains some words."""
    return lambda record: words not in record.getMessage()
