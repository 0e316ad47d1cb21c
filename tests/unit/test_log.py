"""The log: what is away is said once when it begins and once when it ends, and no line holds an error's text."""

import subprocess
import sys
import time
from pathlib import Path

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


def test_a_call_that_fails_after_a_later_one_succeeded_says_nothing(away: Away, lines: LogCapture) -> None:
    began = time.monotonic()
    away.lost("at once", began)
    away.back()
    away.lost("after its patience", began)

    assert not away.is_away
    assert [entry["event"] for entry in lines.entries] == ["away", "back"]


def test_the_next_outage_is_said_again(away: Away, lines: LogCapture) -> None:
    for reason in ("first", "second"):
        away.lost(reason)
        away.back()

    assert [entry.get("reason") for entry in lines.entries] == ["first", None, "second", None]


def test_a_logger_says_its_fixed_facts_on_every_line() -> None:
    with structlog.testing.capture_logs() as said:
        logger(part="sender").info("refused", record="cas_1")

    assert said == [{"event": "refused", "log_level": "info", "part": "sender", "record": "cas_1"}]


MARK = "Sensitive-4711"
FAILING = """
import asyncio, logging, sys, uvicorn, httpx
from services.intake.door import Door
from shared.http import api
from shared.log import logger, start_logging
from shared.rates import Rates

MARK = sys.argv[2]
start_logging("test", sys.argv[1])

class Careless:
    async def verify(self, *_):
        held = {"officer": MARK}
        raise LookupError(f"nobody called {held}")

pages, door = api("Test", []), Door(Careless(), {}, frozenset(), None, None, Rates(0))

@pages.get("/page")
async def page():
    held = MARK
    raise ValueError(held)

async def app(scope, receive, send):
    await (door if scope["path"] == "/door" else pages)(scope, receive, send)

async def forgotten():
    raise ValueError(MARK)

async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(verify=False) as client:
        for path in ("page", "door"):
            answer = await client.get(f"http://127.0.0.1:{port}/{path}")
            assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
            assert MARK not in answer.text
    lost = asyncio.create_task(forgotten())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del lost
    server.should_exit = True
    await serving

try:
    raise RuntimeError(MARK)
except RuntimeError as error:
    logger().exception("ours")
    logger().error("ours with it", exc_info=error)
    library = logging.getLogger("library")
    library.exception(f"RuntimeError: {error}")
    library.error("without a trace: %s", error)
    library.error("%(error)s", {"error": "by name"})
    library.error("a line that\\ngoes on with %d", MARK)
asyncio.run(main())
held = MARK
raise KeyError(held)
"""


@pytest.mark.parametrize("form", ["json", "terminal"])
def test_no_line_holds_the_text_of_an_error_or_what_stood_around_it(form: str) -> None:
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", FAILING, form, MARK], capture_output=True, text=True, timeout=60, check=False, cwd=root
    )

    said = run.stdout + run.stderr
    assert run.returncode == 1, said
    assert MARK not in said
    assert "Traceback" not in said
    for told in ("ours", "ours with it", "without a trace: RuntimeError", "by name", "a line that", "uvicorn.error"):
        assert told in said
    for error in ("ValueError", "LookupError", "KeyError"):
        assert error in said
