"""Who takes the bytes of an entry says who and why, as in every body: blanks are no name and no reason."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.http import api
from shared.loop import Outcome
from shared.quarantine.acting import Acting
from shared.quarantine.api import LOOK, PATH, Desk, add_quarantine
from shared.quarantine.deciding import Act, Refused, Why
from shared.quarantine.reading import Entries
from shared.records import Record
from shared.tokens import KeySource, Verifier, make_key, make_token
from shared.vocabulary import DESK
from tests.unit.entries import SEALER

PRIVATE, JWKS = make_key()
ENTRY = f"qua_{'0' * 32}"


class Asked(Acting):
    """A stand-in for what acts: it remembers, and knows no entry."""

    def __init__(self) -> None:
        self.acts: list[Act] = []

    async def act(self, entry: str, act: Act, by: str) -> Outcome:
        assert by == DESK
        self.acts.append(act)
        return Outcome(Record(entry, entry, {}), reply=Refused(Why.UNKNOWN, "There is no such entry."))


class Nowhere(Entries):
    """A stand-in for the entries, of which none is read."""

    def __init__(self) -> None:
        pass


async def exported(folder: Path, **query: str) -> tuple[httpx.Response, list[Act]]:
    """What who asks for the bytes gets, and what was asked for."""
    jwks = folder / "jwks.json"
    jwks.write_text(json.dumps(JWKS))
    app, asked = api("Intake", []), Asked()
    add_quarantine(app, Verifier("issuer", "rogatory", KeySource(jwks)), Desk(Nowhere(), asked, SEALER))
    who: Any = {"authority": DESK, "scopes": (LOOK,), "lifetime": timedelta(minutes=5)}
    headers = {"authorization": f"Bearer {make_token(PRIVATE, issuer='issuer', audience='rogatory', **who)}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://intake", headers=headers) as client:
        return await client.get(f"{PATH}/{ENTRY}/export", params=query), asked.acts


@pytest.mark.parametrize(
    "query",
    [{"by": " ", "reason": "x"}, {"by": "Anna", "reason": " \t"}, {"by": " ", "reason": " "}, {"by": "Anna"}],
)
async def test_nobody_takes_the_bytes_without_a_name_and_a_reason(query: dict[str, str], tmp_path: Path) -> None:
    response, acts = await exported(tmp_path, **query)

    assert (response.status_code, acts) == (422, [])


async def test_a_name_and_a_reason_are_kept_without_the_blanks_around_them(tmp_path: Path) -> None:
    response, [act] = await exported(tmp_path, by=" Anna ", reason=" the sender rang\n")

    assert (response.status_code, act.by, act.reason) == (404, "Anna", "the sender rang")
