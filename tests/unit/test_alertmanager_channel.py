"""The Alertmanager channel: what is posted first, again, and at the end, as Alertmanager's API takes it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from services.notifier.channels import Destination, Parcel, Shown
from services.notifier.channels.alertmanager import Alertmanagers
from services.notifier.channels.outgoing import Outgoing
from services.notifier.domain.bodies import Delivered, Failed
from shared.partners import NoticeChannel
from tests.unit import endpoints
from tests.unit.endpoints import HERE, Endpoint, Names, endpoint, says, trusting

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
FACTS = {"event": "case.assigned", "type": "extradition", "lane": "urgent", "status": ""}


@pytest.fixture
async def alertmanagers() -> AsyncIterator[Alertmanagers]:
    """The channel, which finds every name on this machine."""
    one = Alertmanagers(Outgoing(HERE, ssl_context=trusting(), names=Names()))
    yield one
    await one.close()


def shown(notice: str = "not_1", link: str | None = None, **facts: str) -> Shown:
    data = {"notice": notice, "rule": "urgent", "facts": {**FACTS, **facts}}
    return Shown(notice, {"en": "Urgent.", "az": "Təcili."}, data, "2026-03-10T07:59:00.000000Z", link)


def to(there: Endpoint, path: str = "") -> Destination:
    return Destination(
        "system.alertmanager", NoticeChannel.ALERTMANAGER, f"https://{endpoints.HOST}:{there.port}{path}"
    )


def alerts(there: Endpoint) -> list[list[dict[str, Any]]]:
    return [orjson.loads(asked.body) for asked in there.asked]


async def test_a_notice_is_an_alert_with_its_facts_as_labels(alertmanagers: Alertmanagers) -> None:
    async with endpoint(says(200)) as there:
        sent = Parcel("not_1", to(there), (shown(link="https://rogatory.example/n/1"),), 3)
        assert await alertmanagers.send(sent, NOW) == Delivered(3)

    assert alerts(there) == [
        [
            {
                "labels": {
                    "alertname": "urgent",
                    "rogatory": "notice",
                    "notice": "not_1",
                    "severity": "critical",
                    "event": "case.assigned",
                    "type": "extradition",
                    "lane": "urgent",
                },
                "annotations": {"summary": "Urgent."},
                "generatorURL": "https://rogatory.example/n/1",
                "startsAt": "2026-03-10T07:59:00.000000Z",
                "endsAt": "2026-03-10T08:05:00.000000Z",
            }
        ]
    ]
    (asked,) = there.asked
    assert (asked.method, asked.path, asked.headers["content-type"]) == ("POST", "/api/v2/alerts", "application/json")


async def test_an_alert_is_the_same_one_when_it_is_posted_again_and_when_it_is_over(
    alertmanagers: Alertmanagers,
) -> None:
    later = NOW + timedelta(minutes=2)
    async with endpoint(says(200)) as there:
        await alertmanagers.send(Parcel("not_1", to(there), (shown(),), 1), NOW)
        assert await alertmanagers.repost(to(there), [shown(), shown("not_2")], later) == Delivered(1)
        assert await alertmanagers.resolve(to(there), [shown()], later) == Delivered(1)

    ((first,), (again, second), (over,)) = alerts(there)
    assert first["labels"] == again["labels"] == over["labels"] != second["labels"]
    assert {one["startsAt"] for one in (first, again, over)} == {"2026-03-10T07:59:00.000000Z"}
    assert [one["endsAt"][11:16] for one in (first, again, over)] == ["08:05", "08:07", "08:02"]
    assert "generatorURL" not in first


async def test_an_alert_of_somebody_else_keeps_its_severity_and_takes_no_name_of_ours(
    alertmanagers: Alertmanagers,
) -> None:
    theirs = shown(lane="", severity="page", alertname="DiskFull", rogatory="no")
    async with endpoint(says(200)) as there:
        await alertmanagers.repost(to(there), [theirs, shown(lane="normal")], NOW)

    ((labels, plain),) = [[one["labels"] for one in posted] for posted in alerts(there)]
    assert labels["severity"] == "page"
    assert (labels["alertname"], labels["notice"], labels["rogatory"]) == ("urgent", "not_1", "notice")
    assert plain["severity"] == "warning"


@pytest.mark.parametrize("path", ["", "/", "/am", "/am/"])
async def test_an_address_may_have_a_path(alertmanagers: Alertmanagers, path: str) -> None:
    async with endpoint(says(200)) as there:
        await alertmanagers.repost(to(there, path), [shown()], NOW)

    assert there.asked[0].path == path.rstrip("/") + "/api/v2/alerts"


async def test_its_failures_are_told_as_those_of_webhooks(alertmanagers: Alertmanagers) -> None:
    async with endpoint(says(503, retry_after="9")) as there:
        failed = await alertmanagers.send(Parcel("not_1", to(there), (shown(),), 2), NOW)

    assert failed == Failed(2, "HTTP 503", timedelta(seconds=9))
