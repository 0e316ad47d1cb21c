"""Logging: one line a fact, JSON in production, readable in a terminal; never anything from inside a letter."""

import logging
import math
import sys
import time
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

from shared.failures import place_of

Logger = structlog.typing.FilteringBoundLogger


def start_logging(service: str, form: Literal["json", "terminal"]) -> None:
    """Send our own and the libraries' lines to standard output in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {"service": service, **event},
    ]
    last: list[structlog.typing.Processor] = [
        _no_text_of_errors,
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_first_sentence, *shared],
            use_get_message=False,
            pass_foreign_args=True,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # aiokafka says hundreds of lines in a short outage; `Away` says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # Every broken request of every stranger would be a line; they are counted.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    # A line that cannot be written would be printed with its arguments, an error that nobody catches with its text.
    logging.raiseExceptions = False
    sys.excepthook = _last_words


def _no_text_of_errors(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An error's text, and the values where it arose, may quote a letter: its type and place are what may be said."""
    found = event.pop("exc_info", None)
    for name in ("exception", "stack", "stack_info"):
        event.pop(name, None)
    error = found if isinstance(found, BaseException) else (found if isinstance(found, tuple) else sys.exc_info())[1]
    return {**event, "error": type(error).__name__, "place": place_of(error)} if found and error else event


def _first_sentence(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A library's line without the errors among its arguments; about an error, only that there is one, and where."""
    template, arguments = str(event["event"]), event.pop("positional_args")
    if event.get("exc_info"):
        return {**event, "event": "failed", "logger": event["_record"].name}
    if isinstance(arguments, tuple):
        arguments = tuple(type(a).__name__ if isinstance(a, BaseException) else a for a in arguments)
    try:
        said = template % arguments if arguments else template
    except (TypeError, ValueError, KeyError):
        said = template
    return {**event, "event": said.partition("\n")[0]}


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger().critical("stopping", exc_info=(kind, error, trace))


def logger(**context: Any) -> Logger:
    """A logger with fixed facts."""
    bound: Logger = structlog.get_logger(**context)
    return bound


class Away:
    """Says once that something is away and once that it is back, however often the calls fail between."""

    def __init__(self, what: str, log: Logger) -> None:
        self._what, self._log, self.is_away = what, log, False
        self._answered = -math.inf

    def lost(self, reason: str, began: float = math.inf) -> None:
        """A call failed; `began`: when, by `time.monotonic`, for one that fails late tells nothing new."""
        if not self.is_away and began >= self._answered:
            self.is_away = True
            self._log.warning("away", what=self._what, reason=reason, doing="waiting; nothing is lost")

    def back(self) -> None:
        """A call succeeded."""
        self._answered = time.monotonic()
        if self.is_away:
            self.is_away = False
            self._log.info("back", what=self._what)
