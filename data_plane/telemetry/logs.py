"""Structured logs, one JSON object a line, on standard output."""

import logging
import sys

import structlog

from data_plane.telemetry.redaction import redact, redact_event


class _RedactingFormatter(logging.Formatter):
    """What libraries log goes through the same net."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def configure_logs(pod_id: str) -> None:
    """Set up structlog and the standard library's logging; called once at start."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # The exception's type and place, never its locals: they may hold prompts.
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            redact_event,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(pod=pod_id)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        _RedactingFormatter('{"level": "%(levelname)s", "logger": "%(name)s", "event": "%(message)s"}')
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
