"""Every operation of every service keeps to its OpenAPI document, whoever calls and whatever is sent: schemathesis.

Left out are three of its checks. `max_response_time`: no test may depend on how fast a machine is. `use_after_free` and
`ensure_resource_availability` need links between operations, which the documents do not have.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from deploy.local.keys import AUDIENCE, ISSUER
from shared import times, topics
from shared.quarantine.reading import ENTRIES
from shared.times import text_of
from shared.tokens import make_token
from shared.vocabulary import DESK, Lane
from tests.fuzz import costs, operations, scale
from tests.fuzz.operations import tried
from tests.service.running import AGENCY, SERVICES, Said, System, cloud_event, eventually, letter

OF_QUARANTINE = ("quarantine:read", "quarantine:write", "quarantine:look")
OF_DESK = ("cases:read", "cases:write", "notifier:admin", "notices:read", "notices:write", "alerts:write")
ROLES: Mapping[str, Mapping[str, Any]] = {
    "an agency": {"agency": AGENCY, "scopes": ("letters:write", "letters:read")},
    "an authority": {"authority": "security-service", "scopes": ("cases:read", "cases:write")},
    "the desk": {"authority": DESK, "account": "officer-7", "scopes": (*OF_DESK, *OF_QUARANTINE)},
    "a subscriber": {"subscriber": "duty-officers", "scopes": ("notices:read", "notices:write")},
    "an operator": {"account": "operator-1", "scopes": OF_QUARANTINE},
    "an alertmanager": {"scopes": ("alerts:write",)},
    "nobody": {},
}
EVERYTHING = "^/"
AT_HOME = {
    "intake": {"an agency": "^/v1/letters", "an operator": "^/v1/quarantine"},
    "router": {"an authority": "^/v1/cases", "the desk": EVERYTHING},
    "notifier": {"the desk": EVERYTHING, "a subscriber": "^/v1/notices", "an alertmanager": "^/v1/alertmanager"},
}
"""Who has something to do with which operations of a service; elsewhere they are only refused, and little is tried."""
UNREADABLE = {
    topics.letters_from(AGENCY, Lane.NORMAL): "letter.received",
    topics.updates_from(DESK, Lane.NORMAL): "update.acknowledged",
    topics.case_events(Lane.NORMAL): "case.assigned",
}
"""Where each service finds something that it cannot read, and what it is called."""
THERE, ENTRIES_THERE = 20, 8
"""Subscriptions and silences that inputs may meet, and entries of each quarantine.

Of these few, for all of one key are tried again one after another, and none of them is discarded meanwhile.
"""
CONFLICT = 409
"""What was understood, and decided otherwise: how things stand forbids it."""
STRANGERS = 2
"""Inputs to an operation from who is only refused."""
EACH = 270 if scale.IS_FULL else 30
"""Inputs to an operation from those at home; in the long run beside all that the document suggests."""


def token_of(services: System, role: str) -> str | None:
    """The token by which somebody is known."""
    claims = ROLES[role]
    if not claims:
        return None
    key, lifetime = services.keys.token_key, timedelta(hours=2)
    return make_token(key, issuer=ISSUER, audience=AUDIENCE, lifetime=lifetime, **claims)


@pytest.fixture(scope="module")
def something_there(services: System) -> Iterator[System]:
    """The services with some letters, cases and notices, and something set aside at each.

    Whom the inputs subscribed is removed again: every bad record of another test would be a notice for each of them.
    """
    asyncio.run(_bring(services))
    yield services
    path, desk = services.url("notifier", "/v1/subscriptions"), f"Bearer {token_of(services, 'the desk')}"
    with httpx.Client(headers={"authorization": desk}, timeout=60) as client:
        for one in client.get(path).raise_for_status().json()["subscriptions"]:
            client.delete(f"{path}/{one['name']}").raise_for_status()


async def _bring(services: System) -> None:
    for number in range(20):
        assert (await services.post(letter(f"there-{number}", "extradition", "data_preservation"))).status_code == 202
    for topic, event_type in UNREADABLE.items():
        unread = [Said(b"{", cloud_event(f"bad-{number}", event_type=event_type)) for number in range(ENTRIES_THERE)]
        await services.produce(topic, *unread)
    desk = {"authorization": f"Bearer {token_of(services, 'the desk')}"}
    async with httpx.AsyncClient(headers=desk) as client:
        for number in range(THERE):
            for path, make in (("/v1/subscriptions", a_subscription), ("/v1/silences", a_silence)):
                said = await client.post(services.url("notifier", path), json=make(-1 - number))
                assert said.status_code == 201, said.text
    for collection in ("cases", "notices", *(f"{name}_quarantine" for name in SERVICES)):
        await eventually(lambda: services.documents(collection), collection)  # noqa: B023


def a_subscription(number: int) -> dict[str, Any]:
    """One that can be added."""
    address = "https://partner.example/notices"
    return {"name": f"office{number}", "channel": "webhook", "address": address, "hears": {"audience": "desk"}}


def a_silence(number: int) -> dict[str, Any]:
    """One that can begin."""
    until = text_of(times.now() + timedelta(hours=1))
    return {
        "when": {"lane": ["normal"], "type": ["data_preservation"]},
        "author": "Anna",
        "reason": f"planned work {number}",
        "until": until,
    }


def there_at(services: System, service: str) -> operations.There:
    """What the operations of a service may meet."""
    entries = [one["_id"] for one in services.documents(f"{service}_quarantine", ENTRIES)]
    names = [a_subscription(-1 - number)["name"] for number in range(THERE)]
    silences = [one["_id"] for one in services.documents("silences")]
    acts = [f"POST /v1/quarantine/{{entry}}/{act}" for act in ("look", "replay", "discard")]
    why = {"by": "Anna", "reason": "it was looked at"}
    return operations.There(
        {"entry": entries, "name": names, "silence": silences},
        {
            **{act: lambda _: why for act in acts},
            "POST /v1/subscriptions": a_subscription,
            "POST /v1/subscriptions/{name}/pause": lambda _: {"reason": "moving house"},
            "POST /v1/subscriptions/{name}/resume": lambda _: {},
            "POST /v1/silences": a_silence,
        },
    )


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_keeps_to_its_document(something_there: System, service: str) -> None:
    services, seed = something_there, scale.seed()
    document = httpx.get(services.url(service, "/openapi.json")).raise_for_status().json()
    held: list[tuple[int, Mapping[str, int]]] = []
    failures: dict[str, str] = {}
    inputs, accepted = 0, set[str]()
    operations.THERE = there_at(services, service)
    for role in ROLES:

        def look(count: int, before: int = inputs) -> None:
            held.append((before + count, costs.held(services)))

        config = config_for(AT_HOME[service].get(role), seed)
        found = tried(document, services.services[service].url, token_of(services, role), config, look)
        inputs += found.inputs
        accepted |= {label for label, by in found.statuses.items() if any(200 <= s < 300 or s == CONFLICT for s in by)}
        failures |= {f"{role}: {what}": how for what, how in found.failures.items()}
        scale.NOTES.append(f"HTTP at {service} by {role}: {found.says()}")
        assert found.statuses.keys() == labels(document)

    scale.tried("HTTP", inputs)
    assert not failures, "\n\n".join(f"{what}\n{how}" for what, how in failures.items())
    assert labels(document) - accepted == set()  # an operation that refuses everybody would not have been tried
    assert inputs >= scale.of("HTTP") // len(SERVICES) // 2  # those of intake have the fewest operations
    for name in SERVICES:
        assert not services.has_said(name, "bug"), services.said(name, "bug")
    after_a_tenth = next(of_it for count, of_it in held if count >= inputs // 10)
    costs.compared(f"HTTP at {service}", "a tenth", after_a_tenth, costs.held(services))


def test_so_many_requests_were_sent_to_all_services_together() -> None:
    if not scale.COUNTED["HTTP"]:
        pytest.skip("the tests of the operations were not run before this one")
    assert scale.COUNTED["HTTP"] >= scale.of("HTTP")


def config_for(home: str | None, seed: int | None) -> dict[str, Any]:
    """How much is tried, most of it at the paths of `home`, and from what seed; None: the same every time."""
    few: dict[str, Any] = {"generation": {"max-examples": STRANGERS}, "phases": {"coverage": {"enabled": False}}}
    many = {"generation": {"max-examples": EACH}, "phases": {"coverage": {"enabled": scale.IS_FULL}}}
    return {
        "generation": {
            "mode": "all",
            "max-examples": STRANGERS,
            "deterministic": seed is None,
            # The token is left as it is: `ignored_auth` takes it away, and changes it, by itself.
            "with-security-parameters": False,
        },
        "phases": {"coverage": {"enabled": scale.IS_FULL and home is not None}, "stateful": {"enabled": False}},
        "operations": [{"include-path-regex": home, **many}, {"exclude-path-regex": home, **few}] if home else [],
        **({} if seed is None else {"seed": seed}),
    }


def labels(document: Mapping[str, Any]) -> set[str]:
    """Every operation as schemathesis names it."""
    return {f"{method.upper()} {path}" for path, there in document["paths"].items() for method in there}
