"""`rogatory notices`: what is asked of the notifier, what waits longest first, and one notice with its story."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from cli import of_notifier
from cli.__main__ import app
from cli.asking import NOTIFIER, Asking

Run = Callable[..., Result]


def notice(number: int, **more: Any) -> dict[str, Any]:
    """One as the notifier shows it."""
    return {
        "notice": f"not_{number:032x}",
        "alert": "alr_1",
        "rule": "emergency",
        "about": "cas_1",
        "subscriber": "person.leyla",
        "channel": "email",
        "status": "waiting",
        "says": {"en": "An emergency."},
        "facts": {"event": "case.assigned", "urgency": "emergency"},
        "due": None,
        "raised_at": "2026-03-10T08:00:00.000000Z",
        "attempts": 0,
        "next_attempt_at": "2026-03-10T08:05:00.000000Z",
        "last_reason": None,
        "delivered_at": None,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "taken_at": None,
        "taken_by": None,
        "ended": None,
        "story": None,
        **more,
    }


SENT = {"status": "delivered", "attempts": 1, "next_attempt_at": None}


class Notifier:
    """Two pages of what is unsent, then one of the rest."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        self.asked.append(query)
        if request.url.path != "/v1/notices":
            return httpx.Response(404, json={"detail": "?"})
        if query["unsent"] == "false":
            page: dict[str, Any] = {"notices": [notice(2, **SENT), notice(3, **SENT)], "next": None}
        elif "after" in query:
            page = {"notices": [notice(2)], "next": None}
        else:
            page = {"notices": [notice(1, attempts=3, last_reason="HTTP 503")], "next": "here"}
        return httpx.Response(200, json=page)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command against a notifier."""

    def run(notifier: Callable[[httpx.Request], httpx.Response], *arguments: str) -> Result:
        asking = Asking(NOTIFIER, "http://notifier", "a token", httpx.MockTransport(notifier))
        monkeypatch.setattr(of_notifier, "notifier", lambda *_: asking)
        return CliRunner().invoke(app, ["notices", *arguments])

    return run


def test_what_is_unsent_comes_first_page_by_page_and_each_notice_once(run: Run) -> None:
    notifier = Notifier()

    said = run(notifier, "list", "--json")

    assert notifier.asked == [{"unsent": "true"}, {"unsent": "true", "after": "here"}, {"unsent": "false"}]
    shown = json.loads(said.stdout)
    assert [one["notice"][-1] for one in shown["notices"]] == ["1", "2", "3"]
    assert shown["more"] is False


def test_the_table_says_when_it_is_tried_next_and_why_it_failed(run: Run) -> None:
    lines = run(Notifier(), "list").stdout.splitlines()

    assert lines[0].split("  ")[0] == "notice"
    assert [*filter(None, (part.strip() for part in lines[0].split("  ")))] == [
        "notice", "recipient", "channel", "status", "attempts", "next attempt", "last reason", "raised at",
    ]  # fmt: skip
    assert [*filter(None, (part.strip() for part in lines[1].split("  ")))] == [
        notice(1)["notice"], "person.leyla", "email", "waiting", "3", "2026-03-10 08:05:00Z", "HTTP 503",
        "2026-03-10 08:00:00Z",
    ]  # fmt: skip
    assert lines[-1] == "3 notices."


def test_filters_go_to_the_notifier_and_a_limit_says_that_there_are_more(run: Run) -> None:
    notifier = Notifier()

    said = run(notifier, "list", "--sent", "--status", "delivered", "--about", "cas_1", "--unacknowledged", "--limit=1")

    assert notifier.asked == [{"status": "delivered", "about": "cas_1", "acknowledged": "false", "unsent": "false"}]
    assert said.stdout.splitlines()[-1] == "1 notice; there are more: --limit."


def test_none_is_said_too(run: Run) -> None:
    said = run(lambda _: httpx.Response(200, json={"notices": [], "next": None}), "list")

    assert (said.exit_code, said.stdout) == (0, "No notice matches.\n")


def test_one_notice_is_told_with_its_story(run: Run) -> None:
    story = [
        {"event": "notice.raised", "at": "2026-03-10T08:00:00.000000Z", "by": "notifier", "said": {}},
        {
            "event": "notice.failed",
            "at": "2026-03-10T08:00:01.000000Z",
            "by": "notifier",
            "said": {"attempt": 1, "reason": "timeout", "next_due": None},
        },
    ]
    seen = notice(1, story=story, last_reason="timeout", taken_at="2026-03-10T08:01:00.000000Z", taken_by="desk")

    lines = run(lambda _: httpx.Response(200, json=seen), "show", seen["notice"]).stdout.splitlines()

    assert lines[0] == f"{seen['notice']}: waiting, to person.leyla by email"
    assert "  last reason   timeout" in lines
    assert "  next attempt  2026-03-10 08:05:00Z" in lines
    assert "  acknowledged  2026-03-10 08:01:00Z, by desk" in lines
    assert lines[-1] == "  2026-03-10 08:00:01Z  notice.failed  attempt: 1, reason: timeout"


def test_a_notice_that_is_not_there_is_one_sentence(run: Run) -> None:
    said = run(Notifier(), "show", "not_1")

    assert (said.exit_code, said.stderr) == (1, "There is no notice 'not_1'.\n")


def test_a_status_that_there_is_not_is_said_by_its_option(run: Run) -> None:
    problem = {"errors": [{"pointer": "/query/status", "detail": "Is not a known status; did you mean 'waiting'?"}]}

    said = run(lambda _: httpx.Response(422, json=problem), "list", "--status", "waitin")

    assert (said.exit_code, said.stderr) == (2, "--status: Is not a known status; did you mean 'waiting'?\n")
