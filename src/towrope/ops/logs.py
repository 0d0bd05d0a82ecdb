"""Structured logs: constant event text, facts as keys; JSON lines, or text on a terminal.

Secrets are kept out at the source; the last processor here is a net below that, not the means.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_KEYS = frozenset(
    {"token", "authorization", "password", "secret", "assertion", "client_secret", "private_key"}
)
_SECRET_TEXT = re.compile(
    r"(eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|SharedAccessSignature [^\s\"']+|[Bb]earer [\w.~+/=-]{8,}"
    r"|sb-hc-token=[^&\s\"']+)"
)


def configure(*, verbose: bool = False, json: bool | None = None) -> None:
    """Sends logs to stderr; JSON unless stderr is a terminal, or as `json` says."""
    level = logging.DEBUG if verbose else logging.INFO
    as_json = not sys.stderr.isatty() if json is None else json
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        # Not the default formatter, which prints the variables of each frame.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # Request URLs and per-connection lines are ours to log, or not to.
    for noisy in ("picows", "httpx", "httpx2", "httpcore", "httpcore2", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Takes out what looks like a secret."""
    for key, value in event.items():
        if key.lower() in SECRET_KEYS:
            event[key] = "[redacted]"
        elif isinstance(value, str):
            event[key] = _SECRET_TEXT.sub("[redacted]", value)
    return event
