"""Structured logs: one JSON object a line, with the job it belongs to. No prompt, key or link at INFO."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_fields: ContextVar[dict[str, Any]] = ContextVar("log_fields", default={})  # noqa: B039 (never mutated)

_MAX_MESSAGE_CHARS = 4096
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextmanager
def log_fields(**fields: Any) -> Iterator[None]:
    """Add fields to every record logged inside."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: time, level, message, the context's fields and the record's own.

    Args:
        runtime: The agent's runtime, which stands in every line.
    """

    def __init__(self, runtime: str) -> None:
        super().__init__()
        self._runtime = runtime

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "runtime": self._runtime,
            "message": record.getMessage()[:_MAX_MESSAGE_CHARS],
            **_fields.get(),
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: str, runtime: str) -> None:
    """Send all records to standard error as JSON; the libraries' own only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(runtime))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("queue_agent", "runtimes"):
        logging.getLogger(package).setLevel(level)
