"""Logging: one line a fact, JSON in production, readable in a terminal; never anything from inside a letter."""

import logging
import sys
from typing import Any, Literal

import structlog

Logger = structlog.typing.FilteringBoundLogger


def start_logging(service: str, form: Literal["json", "terminal"]) -> None:
    """Send our own and the libraries' lines to standard output in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {"service": service, **event},
    ]
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # aiokafka says hundreds of lines in a short outage; `Away` says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def logger(**context: Any) -> Logger:
    """A logger with fixed facts."""
    bound: Logger = structlog.get_logger(**context)
    return bound


class Away:
    """Says once that something is away and once that it is back, however often the calls fail between."""

    def __init__(self, what: str, log: Logger) -> None:
        self._what, self._log, self.is_away = what, log, False

    def lost(self, reason: str) -> None:
        """A call failed."""
        if not self.is_away:
            self.is_away = True
            self._log.warning("away", what=self._what, reason=reason, doing="waiting; nothing is lost")

    def back(self) -> None:
        """A call succeeded."""
        if self.is_away:
            self.is_away = False
            self._log.info("back", what=self._what)
