"""The log: what is away is said once when it begins and once when it ends."""

import pytest
import structlog
from structlog.testing import LogCapture

from shared.log import Away, logger


@pytest.fixture
def lines() -> LogCapture:
    return LogCapture()


@pytest.fixture
def away(lines: LogCapture) -> Away:
    return Away("Kafka", structlog.wrap_logger(None, processors=[lines]))


def test_an_outage_is_said_once_however_long_it_lasts(away: Away, lines: LogCapture) -> None:
    for _ in range(100):
        away.lost("KafkaConnectionError")

    assert away.is_away
    assert lines.entries == [
        {
            "event": "away",
            "log_level": "warning",
            "what": "Kafka",
            "reason": "KafkaConnectionError",
            "doing": "waiting; nothing is lost",
        }
    ]


def test_its_end_is_said_once(away: Away, lines: LogCapture) -> None:
    away.lost("KafkaConnectionError")
    for _ in range(100):
        away.back()

    assert not away.is_away
    assert [entry["event"] for entry in lines.entries] == ["away", "back"]


def test_what_was_never_away_is_not_back(away: Away, lines: LogCapture) -> None:
    away.back()

    assert lines.entries == []


def test_the_next_outage_is_said_again(away: Away, lines: LogCapture) -> None:
    for reason in ("first", "second"):
        away.lost(reason)
        away.back()

    assert [entry.get("reason") for entry in lines.entries] == ["first", None, "second", None]


def test_a_logger_says_its_fixed_facts_on_every_line() -> None:
    with structlog.testing.capture_logs() as said:
        logger(part="sender").info("refused", record="cas_1")

    assert said == [{"event": "refused", "log_level": "info", "part": "sender", "record": "cas_1"}]
