"""Authorities and the desk by HTTP: what they see of their cases, and what they say was done with them."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from cli.case import case as commands
from deploy.local.keys import AUDIENCE, ISSUER
from shared import topics
from shared.events import CASE_ASSIGNED, CASE_REASSIGNED, UPDATE_REJECTED, of_answer, of_case
from shared.tokens import make_token
from shared.vocabulary import DESK, Lane
from tests.service.running import AGENCY, Said, System, cloud_event, eventually, letter, of

SECURITY, JUSTICE = "security-service", "justice-ministry"
REFUSAL = {"update": "refused", "grounds": ["essential_interests"], "reasons": "Secret reasons"}


def token_of(services: System, authority: str, *scopes: str) -> str:
    """A token with these scopes alone."""
    return make_token(
        services.keys.token_key,
        issuer=ISSUER,
        audience=AUDIENCE,
        authority=authority,
        scopes=scopes,
        lifetime=timedelta(hours=1),
    )


async def call(
    services: System,
    who: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = None,
    media_type: str = "application/json",
    **query: str,
) -> httpx.Response:
    """What the router answers to an authority; with a body it is an update."""
    headers = {"authorization": f"Bearer {token or services.keys.token(authority=who)}"}
    async with httpx.AsyncClient(timeout=30, verify=False) as client:
        url = services.url("router", f"/v1/cases{path}")
        if body is None:
            return await client.get(url, params=query, headers=headers)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.post(url, content=content, headers=headers | {"content-type": media_type})


async def say(services: System, who: str, case: str, update: str, **fields: Any) -> httpx.Response:
    """An update by HTTP."""
    return await call(services, who, f"/{case}/updates", {"update": update, **fields})


async def opened(services: System, reference: str, *types: str, **members: Any) -> list[str]:
    """The cases of a new letter, once they are there."""
    posted = await services.post(letter(reference, *types, **members))
    cases = [services.ids.case(posted.json()["id"], n) for n in range(1, len(types or ("",)) + 1)]
    for case in cases:
        await eventually(partial(_is_there, services, case), "the case")
    return cases


async def _is_there(services: System, case: str) -> bool:
    return (await call(services, DESK, f"/{case}")).is_success


def said_in(services: System, case: str) -> list[str]:
    """The types of a case's events, without what the agency is told of them."""
    document = services.document("cases", case)
    assert document
    return [event["type"] for event in document["history"] if not event["type"].startswith("answer.")]


async def test_the_holder_reads_its_case_with_what_is_asked_and_how_it_came(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)

    answer = await call(services, SECURITY, f"/{case}")

    view = answer.json()
    assert answer.status_code == 200
    assert (view["case"], view["status"], view["authority"]) == (case, "received", SECURITY)
    assert view["content"]["reference"] == prefix
    assert view["content"]["measure"]["contents"]["facts"] == "What only stored_data_access says"
    assert {"acknowledged", "supplement_requested"} <= set(view["allowed"])
    assert view["missing"]
    assert all(one["basis"] for one in view["missing"])
    assert {clock["kind"] for clock in view["clocks"]} == {"policy"}
    assert all(clock["status"] == "running" and clock["left_seconds"] > 0 for clock in view["clocks"])
    [told] = view["story"]
    assert (told["event"], told["by"], told["status"]) == (CASE_ASSIGNED, "intake", "received")
    assert told["content"] == view["content"]


async def test_what_is_another_authoritys_does_not_exist(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)

    for path in (f"/{case}", "/cas_" + "0" * 32, "/nothing"):
        answer = await call(services, JUSTICE, path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    said = await say(services, JUSTICE, case, "acknowledged")
    assert said.status_code == 404
    assert said_in(services, case) == [CASE_ASSIGNED]
    listed = (await call(services, JUSTICE, "", reference=prefix)).json()
    assert listed == {"cases": [], "next": None}


async def test_the_desk_sees_every_case_but_only_the_content_that_was_sent_to_it(services: System, prefix: str) -> None:
    [security_case] = await opened(services, prefix)
    [desk_case] = await opened(services, f"{prefix}-2", "asset_freeze")
    await say(services, SECURITY, security_case, "supplement_requested", text="Secret words")

    theirs = (await call(services, DESK, f"/{security_case}")).json()
    own = (await call(services, DESK, f"/{desk_case}")).json()

    assert (theirs["content"], own["content"]["reference"]) == (None, f"{prefix}-2")
    assert [told["event"] for told in theirs["story"]] == [CASE_ASSIGNED, of_case("supplement_requested")]
    assert all(told["content"] is None for told in theirs["story"])
    assert (own["status"], own["authority"]) == ("triage", DESK)
    assert "triage_decided" in own["allowed"]


async def test_cases_are_found_by_what_they_are(services: System, prefix: str) -> None:
    one, two = await opened(services, prefix, "stored_data_access", "extradition")

    async def found(who: str = DESK, **query: str) -> set[str]:
        answer = await call(services, who, "", **({"reference": prefix} | query))
        assert answer.status_code == 200, answer.text
        return {case["case"] for case in answer.json()["cases"]}

    assert await found() == {one, two}
    assert await found(SECURITY) == {one}
    assert await found(party="FR") == {one, two}
    assert await found(party="DE") == set()
    assert await found(type="extradition") == {two}
    assert await found(authority=SECURITY) == {one}
    assert await found(SECURITY, authority=SECURITY) == {one}
    assert await found(status="received") == {one, two}
    assert await found(status="triage") == set()
    assert await found(overdue="true") == set()
    assert await found(reference=f" {prefix} ") == {one, two}


async def test_what_is_overdue_is_found_until_it_is_done(services: System, prefix: str) -> None:
    past = {"at": "2026-03-12T08:00:00Z", "reason": "A hearing"}
    [case] = await opened(services, prefix, requested_deadline=past)
    [punctual] = await opened(services, f"{prefix}-2")

    async def overdue() -> set[str]:
        found = [await call(services, SECURITY, "", overdue="true", reference=prefix + end) for end in ("", "-2")]
        return {one["case"] for page in found for one in page.json()["cases"]}

    async def is_overdue() -> bool:
        return case in await overdue()

    await eventually(is_overdue, "the missed deadline")
    assert punctual not in await overdue()
    [clock] = [
        one for one in (await call(services, SECURITY, f"/{case}")).json()["clocks"] if one["status"] == "missed"
    ]
    assert (clock["kind"], clock["stopped_at"]) == ("requested", None)
    assert clock["left_seconds"] <= 0

    done = await say(services, SECURITY, case, "executed", text="Done")

    assert done.status_code == 201
    assert case not in await overdue()


async def test_the_holders_own_number_finds_its_case(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)
    await say(services, SECURITY, case, "acknowledged", number=f"{prefix}-own")

    found = (await call(services, SECURITY, "", reference=f"{prefix}-own")).json()

    assert [one["case"] for one in found["cases"]] == [case]


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("status", "triaged", "did you mean 'triage'?"),
        ("type", "nothing", "Is not a known type"),
        ("authority", "nobody", "Is not a known authority"),
        ("party", "France", "two capital letters"),
        ("after", "yesterday", "Must be the 'next' of the page before"),
        ("overdue", "perhaps", "true or false"),
    ],
)
async def test_a_filter_that_can_find_nothing_is_named(services: System, name: str, value: str, hint: str) -> None:
    answer = await call(services, DESK, "", **{name: value})

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == f"/query/{name}"
    assert hint in error["detail"]
    assert value not in answer.text.replace("triage'", "")


async def test_an_authority_lists_nobody_elses_cases(services: System) -> None:
    assert (await call(services, SECURITY, "", authority=JUSTICE)).status_code == 404


async def test_cases_are_listed_page_by_page_in_the_order_in_which_they_came(services: System, prefix: str) -> None:
    letters = [letter(f"{prefix}-{n}", party="UZ") for n in range(130)]
    body = b"".join(json.dumps(one).encode() + b"\n" for one in letters)
    await services.post(body, media_type="application/x-ndjson")
    wanted = {services.ids.case(services.ids.letter(AGENCY, one["reference"]), 1) for one in letters}
    await eventually(lambda: len(services.documents("cases", {"_id": {"$in": [*wanted]}})) == len(wanted), "the cases")

    pages: list[list[dict[str, Any]]] = []
    after: dict[str, str] = {}
    while True:
        page = (await call(services, DESK, "", party="UZ", **after)).json()
        pages.append(page["cases"])
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    listed = [case["case"] for page in pages for case in page]
    assert len(pages[0]) == 100
    assert len(listed) == len(set(listed))
    assert wanted <= set(listed)
    came = [case["received_at"] for page in pages for case in page]
    assert came == sorted(came)


async def test_an_update_is_taken_once_and_answered_the_same_again(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)

    first = await say(services, SECURITY, case, "acknowledged", id="u-1", number="42")
    again = await say(services, SECURITY, case, "acknowledged", id="u-1", number="42")
    in_other_words = await call(
        services, SECURITY, f"/{case}/updates", b'{"number":"42", "id":"u-1","officer":null, "update":"acknowledged"}'
    )

    assert [one.status_code for one in (first, again, in_other_words)] == [201, 200, 200]
    assert first.json()["status"] == "acknowledged"
    # What runs has less left by now; all else is the same.
    assert {**again.json(), "clocks": [], "elapsed_seconds": 0, "net_seconds": 0} == {
        **first.json(),
        "clocks": [],
        "elapsed_seconds": 0,
        "net_seconds": 0,
    }
    assert said_in(services, case) == [CASE_ASSIGNED, of_case("acknowledged")]
    assert first.json()["story"][-1]["content"] == {"number": "42"}


async def test_an_id_stands_for_one_update(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)
    files = [{"sha256": "0" * 64, "name": "a.pdf"}]
    await say(services, SECURITY, case, "partially_executed", id="u-1", files=files, text="Secret one")

    again = await say(services, SECURITY, case, "partially_executed", id="u-1", files=files, text="Secret one")
    others = [
        await say(services, SECURITY, case, "partially_executed", id="u-1", files=files, text="Secret two"),
        await say(services, SECURITY, case, "status_answered", id="u-1", text="Secret one"),
        await say(services, SECURITY, case, "no-such-update", id="u-1"),
    ]

    assert again.status_code == 200
    for other in others:
        assert (other.status_code, other.json()["type"]) == (409, "urn:rogatory:problem:conflict")
        assert [error["pointer"] for error in other.json()["errors"]] == ["/id"]
        assert "Secret" not in other.text
    assert said_in(services, case).count(of_case("partially_executed")) == 1


async def test_without_an_id_the_same_words_are_the_same_update(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)

    answers = [await say(services, SECURITY, case, "status_answered", text=text) for text in ("a", "a", "b")]

    assert [one.status_code for one in answers] == [201, 200, 201]
    assert said_in(services, case).count(of_case("status_answered")) == 2


async def test_a_forbidden_update_says_the_rule_and_what_is_allowed(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)

    first = await call(services, SECURITY, f"/{case}/updates", {**REFUSAL, "id": "u-1"})
    await say(services, SECURITY, case, "acknowledged")
    again = await call(services, SECURITY, f"/{case}/updates", {**REFUSAL, "id": "u-1"})

    problem = first.json()
    assert (first.status_code, first.headers["content-type"]) == (409, "application/problem+json")
    assert (problem["type"], problem["rule"]) == ("urn:rogatory:problem:update-rejected", "consulted-first")
    assert (problem["case_status"], problem["detail"]) == (
        "received",
        "The other State is consulted before a refusal or a postponement.",
    )
    assert "uncc 40(28)" in problem["basis"]
    assert "consultation_opened" in problem["allowed"]
    assert (again.status_code, again.json()) == (409, problem)
    assert "Secret" not in first.text
    assert said_in(services, case) == [CASE_ASSIGNED, UPDATE_REJECTED, of_case("acknowledged")]


async def test_what_the_table_has_no_row_for_is_a_conflict(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)

    answer = await say(services, SECURITY, case, "closed")

    assert (answer.status_code, answer.json()["rule"]) == (409, "table")
    assert "closed" not in answer.json()["allowed"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"update": "refused", "grounds": ["because"]}, ["/grounds/0", "/reasons"]),
        ({"update": "preserved", "preserved_from": "yesterday"}, ["/preserved_from"]),
        ({"update": "acknowledged", "colour": "blue"}, ["/colour"]),
        ({"update": "acknowleged"}, ["/update"]),
        ({"number": "1"}, ["/update"]),
        ({"update": "acknowledged", "id": 7}, ["/id"]),
        ({"update": "acknowledged", "id": "x" * 201}, ["/id"]),
        ([], [""]),
        (b'{"update": "closed", "update": "acknowledged"}', ["/update"]),
        (b'{"update": "acknowledged", "number": "\\ud800"}', ["/number"]),
    ],
)
async def test_bad_fields_are_named_by_their_pointers(
    services: System, prefix: str, body: Any, pointers: list[str]
) -> None:
    [case] = await opened(services, prefix)

    answer = await call(services, SECURITY, f"/{case}/updates", body)

    assert answer.status_code == 422, answer.text
    assert sorted(error["pointer"] for error in answer.json()["errors"]) == sorted(pointers)
    assert not {"yesterday", "because", "blue"} & set(answer.text.replace('"', " ").split())


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"update": "acknowledged", "number": "' + b"x" * 600_000 + b'"}', "application/json", 413),
        (b'{"update": "acknowledged"}', "text/plain", 415),
        (b"update=acknowledged", "application/x-www-form-urlencoded", 415),
    ],
)
async def test_what_is_no_update_changes_nothing(
    services: System, prefix: str, body: bytes, media_type: str, status: int
) -> None:
    [case] = await opened(services, prefix)

    answer = await call(services, SECURITY, f"/{case}/updates", body, media_type=media_type)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert said_in(services, case) == [CASE_ASSIGNED]


async def test_only_a_token_of_an_authority_with_the_scope_opens_the_door(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)
    reads, writes = token_of(services, SECURITY, "cases:read"), token_of(services, SECURITY, "cases:write")
    unknown = token_of(services, "elsewhere", "cases:read", "cases:write")

    assert (await call(services, SECURITY, f"/{case}", token=reads)).status_code == 200
    assert (await call(services, SECURITY, f"/{case}", token=writes)).status_code == 403
    assert (await call(services, SECURITY, f"/{case}/updates", {"update": "closed"}, token=reads)).status_code == 403
    assert (await call(services, SECURITY, f"/{case}", token=unknown)).status_code == 403
    assert (await call(services, "", f"/{case}", token=services.keys.token(agency=AGENCY))).status_code == 403
    assert (await call(services, SECURITY, f"/{case}", token="none.of.these")).status_code == 401
    async with httpx.AsyncClient(verify=False) as client:
        bare = await client.get(services.url("router", f"/v1/cases/{case}"))
    assert (bare.status_code, bare.headers["www-authenticate"]) == (401, 'Bearer realm="rogatory"')


UPDATES = (
    {"update": "acknowledged", "number": "42", "officer": "A. Person"},
    {"update": "supplement_requested", "words": ["facts"], "text": "Say more"},
    {"update": "executed", "outcome": "unheard-of"},
    {"update": "nothing-known"},
    {"update": "consultation_opened", "about": ["refusal"], "text": "Why?"},
    {"update": "refused", "grounds": ["essential_interests"], "reasons": "Because"},
)


async def test_the_same_updates_by_kafka_and_by_http_are_the_same_events(services: System, prefix: str) -> None:
    [by_http] = await opened(services, f"{prefix}-http")
    [by_kafka] = await opened(services, f"{prefix}-kafka")
    updates = [{**one, "update": one["update"]} for one in UPDATES]

    for n, one in enumerate(updates):
        await call(services, SECURITY, f"/{by_http}/updates", {**one, "id": f"{n}"})
    await services.produce(
        topics.updates_from(SECURITY, Lane.NORMAL),
        *(said_by_kafka(by_kafka, f"{prefix}-{n}", one) for n, one in enumerate(updates)),
    )
    wanted = told_of(services, by_http)
    await eventually(lambda: len(told_of(services, by_kafka)) >= len(wanted), "the updates by Kafka")

    assert told_of(services, by_kafka) == wanted
    assert [one[0] for one in wanted].count(UPDATE_REJECTED) == 2
    assert (of_answer("refusal"), SECURITY) in {(one[0], one[1]) for one in wanted}


def said_by_kafka(case: str, event_id: str, update: Mapping[str, Any]) -> Said:
    """An update as an authority's own system writes it."""
    fields = {name: value for name, value in update.items() if name != "update"}
    headers = cloud_event(event_id, "/their/system", f"update.{update['update']}")
    return Said(json.dumps({"case": case, **fields}).encode(), headers)


def told_of(services: System, case: str) -> list[tuple[Any, ...]]:
    """The events of a case, without what must differ: its id, its letter's and its times."""
    document = services.document("cases", case)
    assert document
    return [(one["type"], one["by"], one["to"], _without_times(json.loads(one["data"]))) for one in document["history"]]


def _without_times(value: Any) -> Any:
    gone = {"case", "refs", "received_at", "started_at", "due", "steps", "stopped_at", "waits", "ended_at"}
    if isinstance(value, dict):
        return {name: _without_times(one) for name, one in value.items() if name not in gone}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


async def test_an_update_of_who_never_had_the_case_is_set_aside_and_counted_apart(
    services: System, prefix: str
) -> None:
    [case] = await opened(services, prefix)
    topic, reason = topics.updates_from(JUSTICE, Lane.NORMAL), "not this authority's case"
    nowhere = "cas_" + "0" * 32
    records = [
        said_by_kafka(case, f"{prefix}-1", {"update": "acknowledged"}),
        said_by_kafka(nowhere, f"{prefix}-2", {"update": "acknowledged"}),
        Said(b"{", cloud_event(f"{prefix}-3", "/s", "update.acknowledged")),
    ]
    before = await services.metrics("router")

    places = await services.produce(topic, *records)

    for place, record, why in zip(places, records, (reason, "no such case", "not an update"), strict=True):
        entry = services.ids.quarantined("router", topic, *place, record.value or b"")
        kept = await eventually(partial(services.document, "router_quarantine", entry), "the entry")
        assert kept["state"]["reason"] == why
        name = f"rogatory_quarantined_total{{reason={why}}}"
        await eventually(partial(_counts, services, name, before[name] + 1), f"the count of {why}")
    assert said_in(services, case) == [CASE_ASSIGNED]


async def _counts(services: System, name: str, wanted: float) -> bool:
    return (await services.metrics("router"))[name] == wanted


async def test_a_late_answer_that_crosses_a_reassignment_is_told_so(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)
    async with services.listening(topics.cases_of(DESK, Lane.NORMAL)) as ear:
        gone = await say(services, SECURITY, case, "misdirected", reason="Not for us")
        [assigned] = await ear.wait_for(of(case))

    again = await say(services, SECURITY, case, "misdirected", reason="Not for us")
    late = await say(services, SECURITY, case, "acknowledged")

    assert (again.status_code, again.json()["authority"], again.json()["story"]) == (200, DESK, [])
    assert gone.status_code == 201
    assert (gone.json()["authority"], gone.json()["content"], gone.json()["story"]) == (DESK, None, [])
    assert gone.json()["allowed"] == []
    assert assigned.data["content"]["reference"] == prefix
    assert (late.status_code, late.json()["rule"]) == (409, "holder")
    assert late.json()["detail"] == f"The case is with {DESK} now."
    assert late.json()["allowed"] == []
    assert (await call(services, SECURITY, f"/{case}")).status_code == 404


async def test_who_gets_a_case_by_triage_sees_what_came_before_only_in_its_snapshot(
    services: System, prefix: str
) -> None:
    [case] = await opened(services, prefix, "asset_freeze")
    decided = {"authority": JUSTICE, "decided_by": "A. Lawyer", "reason": "Secret reason"}

    answer = await say(services, DESK, case, "triage_decided", **decided)

    new = (await call(services, JUSTICE, f"/{case}")).json()
    desk = (await call(services, DESK, f"/{case}")).json()
    assert (answer.status_code, answer.json()["authority"]) == (201, JUSTICE)
    assert [told["event"] for told in new["story"]] == [CASE_ASSIGNED]
    assert (new["status"], new["content"]["reference"]) == ("received", prefix)
    assert [told["event"] for told in desk["story"]] == [CASE_ASSIGNED, CASE_REASSIGNED, CASE_ASSIGNED]
    assert desk["story"][1]["content"] == {"decided_by": "A. Lawyer", "reason": "Secret reason"}
    assert (desk["story"][2]["content"], desk["content"]) == (None, None)


async def test_the_document_describes_every_update(services: System) -> None:
    async with httpx.AsyncClient(verify=False) as client:
        document = (await client.get(services.url("router", "/openapi.json"))).json()

    schemas = document["components"]["schemas"]
    operation = document["paths"]["/v1/cases/{case}/updates"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert document["openapi"].startswith("3.1")
    assert {"200", "201", "400", "401", "403", "404", "409", "413", "415", "422", "503"} <= operation[
        "responses"
    ].keys()
    assert set(body["discriminator"]["mapping"]) >= {"acknowledged", "refused", "triage_decided"}
    assert "status_inquired" not in body["discriminator"]["mapping"], "only agencies say that"
    assert {one["$ref"] for one in body["oneOf"]} == set(body["discriminator"]["mapping"].values())
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    whole = Draft202012Validator({**body, "components": {"schemas": schemas}})
    for one in (UPDATES[0], UPDATES[1], UPDATES[5]):
        whole.validate(one)
    assert not whole.is_valid({"update": "refused", "grounds": ["because"], "reasons": "x"})
    assert not whole.is_valid({"update": "refused"})
    assert not whole.is_valid({"update": "nothing"})


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


async def test_the_command_line_tells_what_the_router_says(services: System, prefix: str) -> None:
    [case] = await opened(services, prefix)
    await say(services, SECURITY, case, "acknowledged", number="42")
    place = ["--url", services.services["router"].url, "--token", services.keys.token(authority=SECURITY)]
    run = CliRunner().invoke

    shown = await asyncio.to_thread(run, commands, ["show", case, *place])
    listed = await asyncio.to_thread(run, commands, ["list", "--reference", prefix, "--json", *place])
    none = await asyncio.to_thread(run, commands, ["show", "cas_" + "0" * 32, *place])
    refused = await asyncio.to_thread(run, commands, ["list", "--status", "triaged", *place])

    assert (shown.exit_code, shown.stdout.splitlines()[0].partition(":")[0]) == (0, case)
    assert "The case has arrived, under its holder's own number." in shown.stdout
    assert "policy, ours, not the law's: " in shown.stdout
    assert [one["case"] for one in json.loads(listed.stdout)["cases"]] == [case]
    assert (none.exit_code, refused.exit_code) == (1, 2)
    assert refused.stderr == "--status: Is not a known status; did you mean 'triage'?\n"
