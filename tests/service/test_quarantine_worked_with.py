"""An unreadable letter on a running system: its agency is told, the desk mends it, and it opens a case."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.local.jars import ROOT
from shared import topics
from shared.events import ANSWER_RECEIPT, ANSWER_UNREADABLE, CASE_ASSIGNED, LETTER_RECEIVED, schema_of
from shared.vocabulary import DESK, Lane
from tests.service.running import AGENCY, SERVICES, Said, System, cloud_event, eventually, filed, letter, of, on

GATE, ANSWERS = topics.letters_from(AGENCY, Lane.NORMAL), topics.answers_to(AGENCY)
CASES = topics.cases_of("security-service", Lane.NORMAL)


async def rogatory(services: System, *arguments: str) -> tuple[int, Any]:
    """What `rogatory quarantine ... --json` answers the desk."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROGATORY_")}
    environment |= {f"ROGATORY_{name.upper()}_URL": services.url(name, "") for name in SERVICES}
    environment["ROGATORY_TOKEN"] = services.keys.token(authority=DESK)
    command = [sys.executable, "-m", "cli", "quarantine", *arguments]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout) if "--json" in arguments else done.stdout


async def test_an_unreadable_letter_is_mended_and_goes_its_way(services: System, prefix: str, tmp_path: Path) -> None:
    body = json.dumps(letter(prefix)).encode()
    odd = cloud_event(f"{prefix}-1", event_type="letter.burned")
    async with services.listening(ANSWERS, CASES) as ear:
        [place] = await services.produce(GATE, Said(body, odd))
        entry = services.ids.quarantined("intake", GATE, *place, body)
        [told] = await ear.wait_for(on(ANSWERS, entry))
        assert (told.type, told.data["offset"], told.data["reason"]) == (
            ANSWER_UNREADABLE,
            place[1],
            "unknown event type",
        )

        _, listed = await rogatory(services, "list", "--topic", GATE, "--reason", "unknown event type", "--json")
        assert entry in [one["entry"] for one in listed["entries"]]
        as_it_is, told_so = await rogatory(services, "replay", entry, "--dry-run", "--json")
        assert (as_it_is, told_so["says"]) == (1, "It would be refused: unknown event type.")
        mend = ("--header", f"ce_type={LETTER_RECEIVED}", "--header", f"ce_dataschema={schema_of(LETTER_RECEIVED)}")
        dry, would = await rogatory(services, "replay", entry, "--dry-run", "--json", *mend)
        record = services.ids.letter(AGENCY, prefix)
        assert (dry, would["would"][0]["what"], would["would"][0]["record"]) == (0, "begin", record)
        assert services.document("letters", record) is None
        for by in ("anna", "bela"):
            await rogatory(services, "replay", entry, "--by", by, "--because", "the type was wrong", *mend)

        await ear.wait_for(lambda one: of(record)(one) and one.type == ANSWER_RECEIPT)
        case = services.ids.case(record, 1)
        await ear.wait_for(lambda one: one.topic == CASES and one.record == case and one.type == CASE_ASSIGNED)

    async def is_over() -> Any:
        _, shown = await rogatory(services, "show", entry, "--json")
        return shown if shown["status"] == "replayed" else None

    shown = await eventually(is_over, "the replay's outcome")
    assert (shown["outcome"], shown["story"][-1]["said"]["records"]) == ("taken", [record])
    await rogatory(services, "export", entry, str(tmp_path / "bytes"), "--because", "for the file")
    assert (tmp_path / "bytes").read_bytes() == body
    assert prefix not in services.log("intake")


async def test_what_was_sent_right_meanwhile_is_not_taken_twice(services: System, prefix: str) -> None:
    good, bad = filed(letter(prefix), f"{prefix}-1"), Said(json.dumps(letter(prefix)).encode(), [])
    places = await services.produce(GATE, good, bad)
    entry = services.ids.quarantined("intake", GATE, *places[1], bad.value or b"")
    record = services.ids.letter(AGENCY, prefix)
    await eventually(lambda: services.document("intake_quarantine", entry), "the entry")
    await eventually(lambda: services.document("letters", record), "the letter")
    headers = [f"{name}={(value or b'').decode()}" for name, value in cloud_event(f"{prefix}-2")]
    mend = [part for one in headers for part in ("--header", one)]

    await rogatory(services, "replay", entry, "--by", "anna", "--because", "headers were lost", *mend)
    for _ in range(2):
        await rogatory(services, "replay", entry, "--by", "bela", "--because", "headers were lost", *mend)
        await eventually(
            lambda: (services.document("intake_quarantine", entry) or {})["state"]["status"] == "replayed",
            "the replay's outcome",
        )

    history = (services.document("letters", record) or {})["history"]
    assert [form["type"] for form in history].count(LETTER_RECEIVED) == 1


async def test_every_service_shows_its_quarantine_to_the_desk_alone(services: System) -> None:
    import httpx

    async with httpx.AsyncClient(verify=False) as client:
        for name in SERVICES:
            desk = {"authorization": f"Bearer {services.keys.token(authority=DESK)}"}
            url = services.url(name, "/v1/quarantine")
            assert (await client.get(url, headers=desk)).status_code == 200
            assert (await client.get(url, headers=services.bearer())).status_code == 403
            assert (await client.get(url)).status_code == 401
            document = (await client.get(services.url(name, "/openapi.json"))).json()
            assert "/v1/quarantine/{entry}/replay" in document["paths"]
    text = await services.metrics("router")
    assert "rogatory_quarantine_held{lane=normal,reason=not a letter}" in text
