"""Subscriptions and silences over HTTP, on a real store: what the desk is told, what it is refused, what is kept."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from deploy.local.mongo import Mongo as Server
from services.notifier.channels.signing import signatures
from services.notifier.domain import subscriptions
from services.notifier.domain.bodies import Failed
from services.notifier.domain.subscriptions import Gone, Pause
from services.notifier.rules.never_held import of_law
from shared.decisions import Message
from shared.times import text_of
from tests.service.desk_lists import IDS, JWKS, START, Desk, desk_at, token

ADDRESS = "https://hooks.ministry.example:8443/notices?token=ADDRESS-MARK"
NEW = {"name": "ministry", "channel": "webhook", "address": ADDRESS, "hears": {"audience": "duty"}}
SILENCE = {
    "when": {"lane": ["normal"], "type": ["data_preservation"]},
    "author": "AUTHOR-MARK",
    "reason": "REASON-MARK",
    "until": text_of(START + timedelta(hours=2)),
}
PAUSE = {"author": "AUTHOR-MARK", "reason": "REASON-MARK"}
CLASS = [matcher.says for matcher in of_law(["provisional_arrest"])]


@pytest.fixture
async def desk(mongo: Server, database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """The routes over an empty store."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(JWKS))
    async with desk_at(mongo.uri, database, jwks) as made:
        yield made


async def added(desk: Desk, **changes: Any) -> dict[str, Any]:
    """A subscription that stands, as it was answered."""
    answer = await desk.ask("POST", "subscriptions", {**NEW, **changes})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def pointers(problem: dict[str, Any]) -> list[str]:
    """The fields that a problem names."""
    return [error["pointer"] for error in problem["errors"]]


async def test_a_subscription_is_added_and_shown_masked_and_its_secret_this_once(desk: Desk) -> None:
    answer = await added(desk, language="az", rate=5)

    secret = answer.pop("secret")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert answer.pop("public_key") is None
    assert answer == (await desk.ask("GET", "subscriptions/ministry")).json()
    assert (await desk.ask("GET", "subscriptions")).json() == {"subscriptions": [answer]}
    assert answer == {
        "name": "ministry",
        "channel": "webhook",
        "address": "https://hooks.ministry.example:8443",
        "hears": {"audience": "duty"},
        "language": "az",
        "group_seconds": None,
        "rate": 5,
        "state": "active",
        "pause": None,
        "signs": "v1",
        "old_keys_sign_until": None,
        "added_at": text_of(START),
        "not_held_back": CLASS,
    }
    assert desk.directory.subscriptions["ministry"].keys == (secret,)


async def test_what_is_kept_names_no_address_no_host_no_key_and_no_persons_words(desk: Desk) -> None:
    secret = (await added(desk))["secret"]
    rotated = (await desk.ask("POST", "subscriptions/ministry/rotate-key")).json()["secret"]
    await added(desk, name="mail", channel="email", address="MAIL-MARK@ministry.example")
    await desk.ask("POST", "silences", SILENCE)

    stored = await desk.stored()

    assert "'name': 'ministry'" in stored
    for mark in ("MARK", "ministry.example", secret[6:], rotated[6:], "hooks"):
        assert mark not in stored


async def test_the_same_again_is_200_without_its_secret_and_another_one_409_with_the_fields(desk: Desk) -> None:
    first = await added(desk)

    again = await desk.ask("POST", "subscriptions", NEW)
    assert (again.status_code, again.json()) == (200, {**first, "secret": None})
    assert (await desk.ask("GET", "subscriptions/ministry")).json()["state"] == "active"
    assert desk.directory.subscriptions["ministry"].keys == (first["secret"],)

    other = await desk.ask("POST", "subscriptions", {**NEW, "address": "https://other.example/", "rate": 3})
    assert other.status_code == 409
    assert other.json()["type"] == "urn:rogatory:problem:conflict"
    assert sorted(pointers(other.json())) == ["/address", "/rate"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": "Not A Name"}, "/name"),
    ({"name": "a" * 41}, "/name"),
    ({"channel": "kafka"}, "/channel"),
    ({"channel": "log"}, "/channel"),
    ({"address": "http://hooks.example/"}, "/address"),
    ({"address": "https://127.0.0.1/"}, "/address"),
    ({"address": "https://2130706433/"}, "/address"),
    ({"address": "https://169.254.169.254/latest"}, "/address"),
    ({"address": "https://user:MARK@hooks.example/"}, "/address"),
    ({"address": "duty@ministry.example"}, "/address"),
    ({"channel": "email", "address": "two@a.example,MARK@b.example"}, "/address"),
    ({"channel": "email", "address": "a@b.example\r\nBcc: MARK@c.example"}, "/address"),
    ({"channel": "email", "address": "Name <MARK@b.example>"}, "/address"),
    ({"channel": "alertmanager", "address": "https://10.0.0.1:9093"}, "/address"),
    ({"hears": {}}, "/hears"),
    ({"hears": {"audience": "duty", "when": {}}}, "/hears"),
    ({"hears": {"audience": "nobody"}}, "/hears/audience"),
    ({"hears": {"when": {"lane": ["MARK"]}}}, "/hears/when/lane/0"),
    ({"hears": {"when": {"MARK": ["normal"]}}}, "/hears/when"),
    ({"hears": {"when": {"lane": []}}}, "/hears/when"),
    ({"language": "de"}, "/language"),
    ({"group": "soon", "channel": "email", "address": "a@b.example"}, "/group"),
    ({"group": "3 days", "channel": "email", "address": "a@b.example"}, "/group"),
    ({"group": "10 minutes"}, "/group"),
    ({"signs": "v1", "channel": "email", "address": "a@b.example"}, "/signs"),
    ({"signs": "v2"}, "/signs"),
    ({"rate": 0}, "/rate"),
    ({"rate": 3.5}, "/rate"),
    ({"rate": "3"}, "/rate"),
    ({"rate": True}, "/rate"),
    ({"secret": "whsec_MARK"}, "/secret"),
]


@pytest.mark.parametrize(("changes", "pointer"), BAD)
async def test_a_wrong_field_is_named_and_not_repeated(desk: Desk, changes: dict[str, Any], pointer: str) -> None:
    answer = await desk.ask("POST", "subscriptions", {**NEW, **changes})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointers(answer.json()) == [pointer]
    assert "MARK" not in answer.text
    assert (await desk.ask("GET", "subscriptions")).json() == {"subscriptions": []}


async def test_every_wrong_field_is_named_at_once(desk: Desk) -> None:
    body = {**NEW, "address": "http://10.0.0.1", "hears": {"when": {"lane": ["slow"], "event": ["case.closed", "x"]}}}

    answer = await desk.ask("POST", "subscriptions", body)

    assert sorted(pointers(answer.json())) == ["/address", "/hears/when/event/1", "/hears/when/lane/0"]
    assert (await desk.ask("POST", "subscriptions", content=b"{")).status_code == 415
    assert (
        await desk.ask("POST", "subscriptions", content=b"{", headers={"content-type": "application/json"})
    ).status_code == 400


async def test_a_channel_that_is_not_there_is_refused_with_what_to_set(desk: Desk) -> None:
    desk.lacks["email"] = "No e-mail is sent from here: ROGATORY_SMTP is not set."

    answer = await desk.ask("POST", "subscriptions", {**NEW, "channel": "email", "address": "duty@ministry.example"})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/channel", "detail": desk.lacks["email"]}]
    assert (await desk.ask("GET", "subscriptions")).json() == {"subscriptions": []}
    await added(desk)


async def test_what_a_full_record_cannot_take_is_409_and_somebody_was_told_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "FULL_SOON", 3)
    monkeypatch.setitem(subscriptions.TAKEN_UNTIL, Pause, 4)
    await added(desk)
    for verb, body in (("pause", PAUSE), ("resume", None)):
        assert (await desk.ask("POST", f"subscriptions/ministry/{verb}", body)).status_code == 200

    refused = await desk.ask("POST", "subscriptions/ministry/pause", PAUSE)

    assert (refused.status_code, refused.json()["detail"]) == (409, subscriptions.FULL)
    assert (await desk.ask("GET", "subscriptions/ministry")).json()["state"] == "active"
    assert [alert.data["kind"] for alert in desk.sent.alerts] == ["subscription-full"]
    assert (await desk.ask("DELETE", "subscriptions/ministry")).status_code == 204


PATHS = [
    ("POST", "subscriptions"),
    ("GET", "subscriptions"),
    ("GET", "subscriptions/ministry"),
    ("DELETE", "subscriptions/ministry"),
    *(("POST", f"subscriptions/ministry/{verb}") for verb in ("pause", "resume", "rotate-key", "test")),
    ("POST", "silences"),
    ("GET", "silences"),
    ("DELETE", "silences/sil_1"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_the_desk_with_the_scope_may(desk: Desk, method: str, path: str) -> None:
    """Every route that is there is in the list."""
    for bearer in (token("security-service"), token(None), token(scope="cases:write")):
        assert (await desk.ask(method, path, bearer=bearer)).status_code == 403
    assert (await desk.ask(method, path, bearer="none")).status_code == 401
    told = desk.app.openapi()["paths"]
    assert sum(len(verbs) for verbs in told.values()) == len(PATHS)


@pytest.mark.parametrize(("method", "path"), [one for one in PATHS if "/" in one[1]])
async def test_what_is_not_there_is_404(desk: Desk, method: str, path: str) -> None:
    body = PAUSE if path.endswith("/pause") else None
    assert (await desk.ask(method, path, body)).status_code == 404


async def test_a_pause_says_what_it_does_not_hold_back_and_twice_is_as_once(desk: Desk) -> None:
    await added(desk, hears={"when": {"event": ["case.assigned", "case.lapsed"], "lane": ["normal"]}})

    for _ in range(2):
        paused = await desk.ask("POST", "subscriptions/ministry/pause", PAUSE)
        assert (paused.status_code, paused.json()["state"]) == (200, "paused")
        assert paused.json()["not_held_back"] == [
            "an emergency",
            "the arrest of a person",
            "a preservation that lapsed",
        ]
    for _ in range(2):
        resumed = await desk.ask("POST", "subscriptions/ministry/resume")
        assert (resumed.status_code, resumed.json()["state"]) == (200, "active")


async def test_a_pause_says_who_why_and_until_when_and_ends_by_itself(desk: Desk) -> None:
    await added(desk)
    until = text_of(START + timedelta(hours=2))

    paused = await desk.ask("POST", "subscriptions/ministry/pause", {**PAUSE, "until": until})

    said = {**PAUSE, "since": text_of(START), "until": until}
    assert (paused.status_code, paused.json()["pause"]) == (200, said)
    [listed] = (await desk.ask("GET", "subscriptions")).json()["subscriptions"]
    assert (listed["state"], listed["pause"]) == ("paused", said)
    assert "MARK" not in await desk.stored()
    desk.now += timedelta(hours=2)
    [over] = (await desk.ask("GET", "subscriptions")).json()["subscriptions"]
    assert (over["state"], over["pause"]) == ("active", None)


async def test_whose_token_it_is_pauses_unless_told(desk: Desk) -> None:
    await added(desk)

    paused = await desk.ask("POST", "subscriptions/ministry/pause", {"reason": "They move"})

    assert paused.json()["pause"] == {"author": "desk", "reason": "They move", "since": text_of(START), "until": None}


TIME = "Must be a time like 2026-03-10T08:00:00+01:00."


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        (None, "/reason", "This field is required."),
        ({"reason": " "}, "/reason", "Must not be empty."),
        ({**PAUSE, "until": "2026-03-10T10:00:00"}, "/until", "Needs a zone, like +01:00 or Z."),
        ({**PAUSE, "until": "tomorrow"}, "/until", TIME),
        ({**PAUSE, "until": 400}, "/until", TIME),
        ({**PAUSE, "until": "0001-01-01T00:00:00+14:00"}, "/until", "Must lie between the years 1970 and 9998."),
        ({**PAUSE, "until": text_of(START)}, "/until", "Must be a time to come."),
        ({**PAUSE, "by": "leyla"}, "/by", "This field is not known here."),
    ],
)
async def test_a_pause_that_is_not_said_whole_is_refused_with_what_to_say(
    desk: Desk, body: Any, pointer: str, says: str
) -> None:
    await added(desk)

    answer = await desk.ask("POST", "subscriptions/ministry/pause", body)

    assert (answer.status_code, answer.json()["errors"]) == (422, [{"pointer": pointer, "detail": says}])
    assert (await desk.ask("GET", "subscriptions/ministry")).json()["state"] == "active"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"group": "10 minutes"}, "Is for what people read: leave it out, or choose the channel email."),
        ({"hears": {"audience": "nobody"}}, "Is no audience of the alerts file; use woken, duty."),
        ({"hears": {"when": {"lane": ["slow"]}}}, "Is no lane that there can be; use normal, urgent."),
        ({"hears": {"when": {"lanes": ["x"]}}}, "Names what is no fact; did you mean 'lane'?"),
        ({"hears": {}}, "Must have either 'audience' (its name) or 'when' (facts and their values)."),
        ({"rate": "many"}, "Must be a whole number."),
    ],
)
async def test_what_is_wrong_says_what_to_send_instead(desk: Desk, changes: dict[str, Any], says: str) -> None:
    answer = await desk.ask("POST", "subscriptions", {**NEW, **changes})

    assert [error["detail"] for error in answer.json()["errors"]] == [says]


@pytest.mark.parametrize("matcher", of_law(["provisional_arrest"]), ids=lambda matcher: matcher.says)
async def test_neither_pause_nor_silence_of_any_of_the_class_is_taken(desk: Desk, matcher: Any) -> None:
    when = {fact: sorted(values) for fact, values in matcher.when.items()}
    await added(desk, hears={"when": when})

    paused = await desk.ask("POST", "subscriptions/ministry/pause", PAUSE)
    silenced = await desk.ask("POST", "silences", {**SILENCE, "when": when})

    assert (paused.status_code, silenced.status_code) == (409, 422)
    for answer in (paused.json(), silenced.json()):
        assert answer["type"] == "urn:rogatory:problem:never-held"
        assert matcher.says in answer["never_held"]
        assert matcher.says in answer["detail"]
    assert pointers(silenced.json()) == ["/when"]
    assert (await desk.ask("GET", "subscriptions/ministry")).json()["state"] == "active"
    assert (await desk.ask("GET", "silences")).json() == {"silences": []}


async def test_who_is_told_the_class_alone_by_its_audience_cannot_be_paused(desk: Desk) -> None:
    await added(desk, hears={"audience": "woken"})

    answer = await desk.ask("POST", "subscriptions/ministry/pause", PAUSE)

    assert answer.status_code == 409
    assert {"an emergency", "a preservation that lapsed"} <= {*answer.json()["never_held"]}


async def test_a_key_is_rotated_and_both_sign_for_a_day(desk: Desk) -> None:
    first = (await added(desk))["secret"]

    rotated = (await desk.ask("POST", "subscriptions/ministry/rotate-key")).json()

    keys = desk.directory.subscriptions["ministry"].keys
    assert keys == (rotated["secret"], first)
    assert rotated["old_keys_sign_until"] == text_of(START + timedelta(hours=24))
    assert "secret" not in (await desk.ask("GET", "subscriptions/ministry")).json()
    now = datetime.now(UTC)
    headers = {"webhook-id": "not_1", "webhook-timestamp": str(int(now.timestamp()))}
    for secret in keys:
        Webhook(secret).verify('{"a":1}', {**headers, "webhook-signature": signatures(keys, "not_1", now, '{"a":1}')})
    desk.now += timedelta(hours=24)
    await desk.directory.refresh()
    assert desk.directory.subscriptions["ministry"].keys == (rotated["secret"],)


async def test_too_many_keys_at_a_time_are_409_and_what_is_not_signed_has_none(desk: Desk) -> None:
    await added(desk)
    await added(desk, name="mail", channel="email", address="duty@ministry.example", group="10 minutes")

    answers = [(await desk.ask("POST", "subscriptions/ministry/rotate-key")).status_code for _ in range(3)]

    assert answers == [200, 200, 409]
    assert (await desk.ask("POST", "subscriptions/mail/rotate-key")).status_code == 409
    mail = (await desk.ask("GET", "subscriptions/mail")).json()
    assert (mail["address"], mail["signs"], mail["group_seconds"]) == ("d***@ministry.example", None, 600)


async def test_ed25519_shows_the_public_half_alone(desk: Desk) -> None:
    answer = await added(desk, signs="v1a")

    assert (answer["secret"], answer["public_key"][:5]) == (None, "whpk_")
    [key] = desk.directory.subscriptions["ministry"].keys
    assert key.startswith("whsk_")
    assert signatures((key,), "not_1", START, "{}").startswith("v1a,")


async def test_one_that_is_gone_is_resumed_with_a_new_address_alone(desk: Desk) -> None:
    await added(desk)
    one = desk.directory.subscriptions["ministry"]
    await desk.posts[0].put([Message(one.record, "gone/1", "notifier", Gone(one.address_seq))], 0)

    assert (await desk.ask("GET", "subscriptions/ministry")).json()["state"] == "gone"
    for body in (None, {"address": ADDRESS}):
        refused = await desk.ask("POST", "subscriptions/ministry/resume", body)
        assert (refused.status_code, pointers(refused.json())) == (409, ["/address"])
    assert (await desk.ask("POST", "subscriptions/ministry/test")).status_code == 409
    bad = await desk.ask("POST", "subscriptions/ministry/resume", {"address": "https://10.1.1.1/"})
    assert (bad.status_code, pointers(bad.json())) == (422, ["/address"])

    moved = await desk.ask("POST", "subscriptions/ministry/resume", {"address": "https://new.example/MARK"})

    assert (moved.status_code, moved.json()["state"]) == (200, "active")
    assert moved.json()["address"] == "https://new.example"
    assert desk.directory.subscriptions["ministry"].address == "https://new.example/MARK"


async def test_a_test_says_what_became_of_it_also_while_paused(desk: Desk) -> None:
    await added(desk)
    await desk.ask("POST", "subscriptions/ministry/pause", PAUSE)

    taken = await desk.ask("POST", "subscriptions/ministry/test")
    desk.outcome = Failed(1, "HTTP 404", for_good=True)
    refused = await desk.ask("POST", "subscriptions/ministry/test")

    assert taken.json() == {"delivered": True, "reason": None, "for_good": False}
    assert refused.json() == {"delivered": False, "reason": "HTTP 404", "for_good": True}
    assert [one.address for one in desk.tested] == [ADDRESS, ADDRESS]


async def test_one_that_is_removed_leaves_its_name_free(desk: Desk) -> None:
    first = await added(desk)

    assert (await desk.ask("DELETE", "subscriptions/ministry")).status_code == 204
    assert (await desk.ask("DELETE", "subscriptions/ministry")).status_code == 404
    assert [*desk.directory.subscriptions] == []
    second = await added(desk, address="https://other.example/")

    assert second["secret"] != first["secret"]
    assert desk.directory.subscriptions["ministry"].keys == (second["secret"],)


async def test_a_silence_is_begun_once_listed_and_ended(desk: Desk) -> None:
    begun = await desk.ask("POST", "silences", SILENCE)
    same = {**SILENCE, "when": dict(reversed(SILENCE["when"].items())), "until": "2026-03-10T14:00:00+04:00"}  # type: ignore[attr-defined]
    again = await desk.ask("POST", "silences", same)

    assert (begun.status_code, again.status_code) == (201, 200)
    told = begun.json()
    assert again.json() == told
    assert told["not_held_back"] == ["an emergency"] + [one for one in told["not_held_back"] if one != "an emergency"]
    assert (told["author"], told["reason"], told["until"]) == ("AUTHOR-MARK", "REASON-MARK", SILENCE["until"])
    assert (await desk.ask("GET", "silences")).json() == {"silences": [told]}
    facts = {"lane": "normal", "type": "data_preservation", "urgency": "normal"}
    assert desk.directory.silence_for(facts, desk.now) is not None
    assert desk.directory.silence_for(facts | {"urgency": "emergency"}, desk.now) is None

    desk.now += timedelta(minutes=1)
    for _ in range(2):
        assert (await desk.ask("DELETE", f"silences/{told['id']}")).status_code == 204
    assert (await desk.ask("GET", "silences")).json() == {"silences": []}
    assert desk.directory.silence_for(facts, desk.now) is None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"until": text_of(START)}, "/until"),
        ({"until": text_of(START + timedelta(days=7, seconds=1))}, "/until"),
        ({"until": "2026-03-10T10:00:00"}, "/until"),
        ({"until": "soon"}, "/until"),
        ({"author": " "}, "/author"),
        ({"reason": ""}, "/reason"),
        ({"when": {}}, "/when"),
        ({"when": {"lane": ["MARK"]}}, "/when/lane/0"),
        ({"when": {"MARK": ["x"]}}, "/when"),
        ({"from": "now"}, "/from"),
    ],
)
async def test_a_wrong_silence_is_refused_with_the_field(desk: Desk, changes: dict[str, Any], pointer: str) -> None:
    answer = await desk.ask("POST", "silences", {**SILENCE, **changes})

    assert (answer.status_code, pointers(answer.json())) == (422, [pointer])
    assert "MARK" not in answer.text


async def test_the_record_of_a_name_is_known_by_its_id(desk: Desk) -> None:
    await added(desk)

    [stored] = await desk.stores[0].find({}, {"state": 1}, limit=9)

    assert stored["_id"] == IDS.subscription("ministry")
    assert stored["_id"].startswith("sub_")
