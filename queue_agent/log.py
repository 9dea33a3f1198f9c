"""Structured logs: one JSON object a line, with the job it belongs to. No prompt, key or link at INFO."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

_fields: ContextVar[dict[str, Any]] = ContextVar("log_fields", default={})  # noqa: B039 (never mutated)

_MAX_MESSAGE_CHARS = 4096


@contextmanager
def log_fields(**fields: Any) -> Iterator[None]:
    """Add fields to every record that is logged in the context."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


class AgentJsonFormatter(JsonFormatter):
    """Writes time, level, logger, runtime, message, the context's fields, the record's own fields, and exception."""

    def __init__(self, runtime: str) -> None:
        super().__init__(
            "{levelname}{name}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            static_fields={"runtime": runtime},
            json_ensure_ascii=False,
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Put the time first, in UTC with milliseconds, and add the context's fields."""
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        super().add_fields(log_data, record, _fields.get() | message_dict)
        log_data["message"] = log_data["message"][:_MAX_MESSAGE_CHARS]


def configure_logging(level: str, runtime: str) -> None:
    """Send all records to standard error as JSON; the libraries' own only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(AgentJsonFormatter(runtime))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("queue_agent", "runtimes"):
        logging.getLogger(package).setLevel(level)
