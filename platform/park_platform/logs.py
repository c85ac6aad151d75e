"""How the centre's processes log: one JSON object a line on standard error, with the process's name."""

import logging
import sys

import structlog


def log_as(process: str, level: int = logging.INFO) -> None:
    """Set logging up for this process, from `level` on; called once, from its command."""
    structlog.configure(
        processors=[
            lambda _logger, _method, event: {**event, "process": process},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
