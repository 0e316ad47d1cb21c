"""Alertmanager's webhook: what is taken, what is our own come back, what is never kept."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.notifier.alertmanager_in import MOST_BYTES, PATH, SCOPE, TRUNCATED, Technical, add_alertmanager
from shared.failures import TryAgain
from shared.http import api
from shared.posts import QueueFull
from shared.tokens import KeySource, Verifier, make_key, make_token

PRIVATE, JWKS = make_key()
MARK = "Nigar Mammadova"
"""Stands for whatever may be in a label."""


@dataclass
class Taker:
    """Remembers what it was given; a stand-in for the notifier's own."""

    app: FastAPI
    registry: CollectorRegistry
    taken: list[Technical] = field(default_factory=list)
    raises: Exception | None = None

    async def take(self, alerts: Sequence[Technical]) -> None:
        """Keep them."""
        if self.raises:
            raise self.raises
        self.taken += alerts

    async def post(self, body: Any, *, scope: str = SCOPE, media_type: str = "application/json") -> httpx.Response:
        """What the service answers."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {token(scope)}", "content-type": media_type}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://notifier") as client:
            return await client.post(PATH, content=content, headers=headers)

    def counted(self, outcome: str) -> float:
        """What the metric says."""
        return self.registry.get_sample_value("rogatory_technical_alerts_total", {"outcome": outcome}) or 0


def token(scope: str) -> str:
    return make_token(PRIVATE, issuer="issuer", audience="rogatory", scopes=(scope,), lifetime=timedelta(minutes=5))


@pytest.fixture
def taker(tmp_path: Path) -> Taker:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(JWKS))
    made = Taker(api("Notifier", []), CollectorRegistry())
    add_alertmanager(made.app, Verifier("issuer", "rogatory", KeySource(jwks)), made.take, made.registry)
    return made


def alert(status: str = "firing", fingerprint: str = "c4ab1f2d3e5f6071", **labels: str) -> dict[str, Any]:
    """An alert as Alertmanager posts it."""
    return {
        "status": status,
        "labels": {"alertname": "KafkaDown", "severity": "critical"} | labels,
        "annotations": {"summary": MARK},
        "startsAt": "2026-03-10T08:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.org/graph?g0.expr=up",
        "fingerprint": fingerprint,
    }


def group(*alerts: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A post as Alertmanager makes it."""
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{MARK}"}}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "rogatory",
        "groupLabels": {"alertname": "KafkaDown"},
        "commonLabels": {},
        "commonAnnotations": {"summary": MARK},
        "externalURL": "http://alertmanager.example.org",
        "alerts": list(alerts),
    } | members


async def test_each_alert_is_taken_with_its_name_and_severity(taker: Taker) -> None:
    answer = await taker.post(group(alert(), alert("resolved", "00ff", severity="Warning")))

    assert (answer.status_code, answer.json()) == (200, {"taken": 2, "ours": 0})
    first, second = taker.taken
    assert (first.fingerprint, first.alertname, first.severity, first.firing) == (
        "c4ab1f2d3e5f6071",
        "KafkaDown",
        "critical",
        True,
    )
    assert first.starts_at == datetime(2026, 3, 10, 8, 0, 0, 123456, UTC)
    assert (second.severity, second.firing) == ("warning", False)
    assert (taker.counted("taken"), taker.counted("ours")) == (2, 0)


async def test_no_text_of_a_label_or_annotation_is_handed_on(taker: Taker, capsys: pytest.CaptureFixture[str]) -> None:
    odd = alert(alertname=MARK, severity=MARK, instance=MARK)

    await taker.post(group(odd, alert(alertname="x" * 101), truncatedAlerts=1))

    assert [(one.alertname, one.severity) for one in taker.taken[:2]] == [("unnamed", "none"), ("unnamed", "critical")]
    assert MARK not in str([asdict(one) for one in taker.taken])
    assert MARK not in "".join(capsys.readouterr())


async def test_alerts_with_other_labels_are_told_apart(taker: Taker) -> None:
    await taker.post(group(alert(instance="a"), alert(instance="b"), alert(instance="a")))

    first, second, third = (one.labels for one in taker.taken)
    assert first != second
    assert first == third


async def test_an_alert_of_ours_that_comes_back_is_counted_and_raises_nothing(taker: Taker) -> None:
    ours = alert(rogatory="notice")

    answer = await taker.post(group(ours, alert(fingerprint="0a"), ours))
    alone = await taker.post(group(ours))

    assert (answer.json(), alone.json()) == ({"taken": 1, "ours": 2}, {"taken": 0, "ours": 1})
    assert [one.fingerprint for one in taker.taken] == ["0a"]
    assert taker.counted("ours") == 3


async def test_another_value_of_our_label_is_not_ours(taker: Taker) -> None:
    answer = await taker.post(group(alert(rogatory="intake")))

    assert answer.json() == {"taken": 1, "ours": 0}


async def test_that_alerts_were_left_out_is_an_alert_of_its_own_and_the_same_one_each_time(taker: Taker) -> None:
    for _ in range(2):
        answer = await taker.post(group(alert(), truncatedAlerts=7))
        assert answer.json() == {"taken": 2, "ours": 0}

    [_, first, _, again] = taker.taken
    assert (first.alertname, first.severity, first.firing) == (TRUNCATED, "critical", True)
    assert first == again


@pytest.mark.parametrize("reason", [TryAgain("no primary"), QueueFull()])
async def test_alertmanager_is_told_to_come_again(taker: Taker, reason: Exception) -> None:
    taker.raises = reason

    answer = await taker.post(group(alert()))

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert taker.counted("taken") == 0


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in group(alert()).items() if key != name}


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"", 400, ""),
        (b"{", 400, ""),
        (b"\xff", 400, ""),
        ([], 422, ""),
        (group(alert(), version="3"), 422, "/version"),
        (without("version"), 422, "/version"),
        (without("alerts"), 422, "/alerts"),
        (group(alert(status="unknown")), 422, "/alerts/0/status"),
        (group(alert(), alert(fingerprint="../x")), 422, "/alerts/1/fingerprint"),
        (group({**alert(), "startsAt": "2026-03-10T08:00:00"}), 422, "/alerts/0/startsAt"),
        (group({**alert(), "labels": {"nigar": 7}}), 422, "/alerts/0/labels"),
        (group(alert(), truncatedAlerts=-1), 422, "/truncatedAlerts"),
        (without("groupKey"), 422, "/groupKey"),
    ],
)
async def test_what_is_no_such_webhook_is_refused_without_a_word_of_it(
    taker: Taker, body: Any, status: int, pointer: str
) -> None:
    answer = await taker.post(body)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if status == 422:
        assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]
    assert "nigar" not in answer.text.lower()
    assert not taker.taken


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (group(alert(status="unknown")), "Must be 'firing' or 'resolved'."),
        (
            group(alert(fingerprint="../x")),
            "Must be hexadecimal digits in small letters, at most 64, as Alertmanager sends it.",
        ),
        (
            group({**alert(), "startsAt": "2026-03-10T08:00:00"}),
            "Needs a zone, like +01:00 or Z.",
        ),
        (group({**alert(), "startsAt": 400}), "Must be a time like 2026-03-10T08:00:00+01:00."),
    ],
)
async def test_what_is_wrong_says_what_to_send_instead(taker: Taker, body: Any, says: str) -> None:
    assert [one["detail"] for one in (await taker.post(body)).json()["errors"]] == [says]


async def test_a_body_over_the_limit_is_refused(taker: Taker) -> None:
    largest = group(alert(note="x" * (MOST_BYTES - 2_000)))
    larger = group(alert(note="x" * MOST_BYTES))

    assert (await taker.post(largest)).status_code == 200
    assert (await taker.post(larger)).status_code == 413


async def test_only_json_is_taken(taker: Taker) -> None:
    assert (await taker.post(group(), media_type="text/plain")).status_code == 415
    assert (await taker.post(group(), media_type="application/json; charset=utf-8")).status_code == 200


async def test_who_may_not_write_alerts_is_refused(taker: Taker) -> None:
    answer = await taker.post(group(alert()), scope="notices:write")

    assert (answer.status_code, answer.json()["type"]) == (403, "urn:rogatory:problem:forbidden")
    assert not taker.taken


async def test_the_document_describes_what_is_posted(taker: Taker) -> None:
    body = taker.app.openapi()["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]

    jsonschema.validate(group(alert(), alert("resolved")), body)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(group(alert(), version="3"), body)
