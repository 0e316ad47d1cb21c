"""What agencies read by HTTP: their letters, what became of them, and the answers; and the document of all routes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel
from starlette.routing import BaseRoute

from services.intake.door import JSON, NDJSON, PATH, receipt_of, take_one
from services.intake.messages_api import MessagesDoor, add_messages, describe
from shared import problems, topics
from shared.document import null_is_left_out
from shared.events import LETTER_RECEIVED, Event
from shared.http import PROBLEMS, api, caller_of, documented
from shared.ids import Ids
from shared.letter import Letter
from shared.log import logger
from shared.mongo import Store
from shared.problems import ProblemError
from shared.rates import Rates
from shared.records import Record, event_of, record_of
from shared.sealing import Broken, Sealer
from shared.tokens import Verifier

PAGE, PAGE_BYTES = 100, 4_000_000
"""Letters at once, and what their records have together, in bytes."""
_AFTER = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z~let_[0-9a-f]{32}$"
"""Where a page ends: when its last letter came, and which it was."""


class CaseView(BaseModel):
    """What is known of the case of one measure."""

    measure: int
    case: str
    type: str
    status: str
    authority: str
    because: str = ""
    basis: list[str] = []
    certainty: str = ""
    missing: list[dict[str, Any]] = []
    """What the letter does not say and should: `field`, `says`, and the `basis` that asks for it."""
    defects: list[dict[str, Any]] = []
    marks: list[str] = []
    links: list[dict[str, Any]] = []
    """Other cases that belong to it: `case` and `relation`."""
    clocks: list[dict[str, Any]] = []
    """The law's deadlines and the sender's own; never ours."""
    case_event: int = 0
    """The number of the case's event that was told last."""


class LetterView(BaseModel):
    """A letter as its agency sees it: the receipt, and what became of each measure."""

    id: str
    reference: str
    received_at: str
    digest: str
    party: str
    direction: str
    channel: str
    urgency: str
    cases: list[CaseView] = []


class LetterPage(BaseModel):
    """Letters in the order in which they came; `next` is the `after` of the following page, null on the last."""

    letters: list[LetterView]
    next: str | None


class AnswerView(BaseModel):
    """One answer, as it also stands on the agency's Kafka topic."""

    sequence: int
    type: str
    time: str
    data: dict[str, Any]


class AnswerPage(BaseModel):
    """Answers after a sequence; they are gapless."""

    answers: list[AnswerView]


class Letters:
    """An agency's letters, read from their store."""

    def __init__(self, store: Store, ids: Ids, sealer: Sealer) -> None:
        self._store, self._ids, self._sealer = store, ids, sealer
        self._log = logger(collection=store.name)

    async def one(self, agency: str, letter: str) -> tuple[Record, list[Event]]:
        """A letter with its history; what is not the agency's does not exist."""
        return await self._open(letter, lambda document: document["context"].get("agency") == agency)

    async def heard_by(self, agency: str, letter: str) -> tuple[Record, list[Event]]:
        """A letter of which an agency may hear: its own, or one of which something was said to it as a gateway."""
        topic = topics.answers_to(agency)
        return await self._open(
            letter, lambda d: d["context"].get("agency") == agency or topic in d["state"].get("sent", {})
        )

    async def _open(self, letter: str, is_theirs: Callable[[Mapping[str, Any]], bool]) -> tuple[Record, list[Event]]:
        for document in await self._store.histories([letter]):
            if document["state"].get("status") == "received" and is_theirs(document):
                return self._opened(document)
        raise ProblemError(problems.not_found())

    async def page(self, agency: str, reference: str | None, party: str | None, after: str | None) -> LetterPage:
        """The agency's letters that match, at most `PAGE`; fewer where they are large."""
        query: dict[str, Any] = {"context.agency": agency, "state.status": "received"}
        if reference is not None:
            query["_id"] = self._ids.letter(agency, reference)
        if party is not None:
            query["state.party"] = party
        if after is not None:
            received_at, _, letter = after.partition("~")
            query["state.received_at"] = {"$gte": received_at}
            later = {"state.received_at": {"$gt": received_at}}
            query["$or"] = [later, {"state.received_at": received_at, "_id": {"$gt": letter}}]
        order = ("state.received_at", "_id")
        heads = await self._store.find(query, {"state.received_at": 1, "size": 1}, limit=PAGE + 1, sort=order)
        fits = _that_fit(heads[:PAGE])
        last = heads[fits - 1] if len(heads) > fits else None
        following = f"{last['state']['received_at']}~{last['_id']}" if last else None
        # Of a history what a view shows: its reference stands in the first event.
        ids, wanted = [head["_id"] for head in heads[:fits]], {"history": {"$slice": 1}}
        documents = await self._store.find({"_id": {"$in": ids}}, wanted, limit=fits, sort=order)
        return LetterPage(letters=list(self._views(documents)), next=following)

    def _views(self, documents: Iterable[Mapping[str, Any]]) -> Iterator[LetterView]:
        """Each letter that opens: one that does not must not hide the others."""
        for document in documents:
            try:
                yield view(*self._opened(document))
            except Broken:
                self._log.error("does not open", record=document["_id"])

    def _opened(self, document: Mapping[str, Any]) -> tuple[Record, list[Event]]:
        record = record_of({**document, "causes": (), "chain": b""}, self._sealer)
        return record, [event_of(record.id, form, record.key) for form in document["history"]]


def _that_fit(heads: Sequence[Mapping[str, Any]]) -> int:
    """How many are read together: one at least."""
    size = 0
    for number, head in enumerate(heads):
        size += head["size"]
        if number and size > PAGE_BYTES:
            return number
    return len(heads)


def view(record: Record, history: Sequence[Event]) -> LetterView:
    """A letter for its own agency."""
    received = next(event for event in history if event.type == LETTER_RECEIVED)
    reference = orjson.loads(received.content or b"{}")["reference"]
    kept = {name: record.state[name] for name in ("party", "direction", "channel", "urgency")}
    return LetterView(**receipt_of(record.id, record.state, reference), **kept)


def answers(history: Sequence[Event], agency: str, after: int) -> AnswerPage:
    """What was said to the agency about a letter, from the history itself."""
    topic = topics.answers_to(agency)
    said = [event for event in history if event.to.get(topic, 0) > after]
    return AnswerPage(
        answers=[AnswerView(sequence=e.to[topic], type=e.type, time=e.at, data={**e.data, **_content(e)}) for e in said]
    )


def _content(event: Event) -> dict[str, Any]:
    return {"content": orjson.loads(event.content)} if event.content is not None else {}


def build_api(
    letters: Letters,
    messages: MessagesDoor,
    verifier: Verifier,
    rates: Rates,
    routes: Sequence[BaseRoute],
    known_types: Collection[str],
) -> FastAPI:
    """The routes that read, and the document of all; `known_types`: what measures may be."""
    app = api("Rogatory intake", routes)

    async def agency(request: Request) -> str:
        caller = await caller_of(request, verifier, "letters:read")
        if caller.agency is None:
            raise ProblemError(problems.another_agency("The token names no agency."))
        take_one(rates, caller.agency)
        return caller.agency

    Caller = Annotated[str, Depends(agency)]  # noqa: N806 - a type

    @app.get(PATH + "/{letter}", responses=_READING)
    async def get_letter(letter: str, caller: Caller) -> LetterView:
        """One letter of the caller's."""
        return view(*await letters.one(caller, letter))

    @app.get(PATH, responses=_READING)
    async def list_letters(
        caller: Caller,
        reference: Annotated[str | None, Query(max_length=200)] = None,
        party: Annotated[str | None, Query(pattern="^[A-Z]{2}$")] = None,
        after: Annotated[str | None, Query(max_length=80, pattern=_AFTER)] = None,
    ) -> LetterPage:
        """The caller's letters, by reference or party, in the order in which they came."""
        return await letters.page(caller, reference, party, after)

    @app.get(PATH + "/{letter}/answers", responses=_READING)
    async def get_answers(letter: str, caller: Caller, after: Annotated[int, Query(ge=0)] = 0) -> AnswerPage:
        """What was said to the caller about a letter, for who has no Kafka."""
        _, history = await letters.heard_by(caller, letter)
        return answers(history, caller, after)

    add_messages(app, messages, verifier)

    def add_posts(whole: dict[str, Any]) -> None:
        whole["paths"].setdefault(PATH, {})["post"] = _post_operation()
        schemas = whole.setdefault("components", {}).setdefault("schemas", {})
        letter = null_is_left_out(Letter.model_json_schema(ref_template="#/components/schemas/{model}"))
        schemas.update(letter.pop("$defs", {}))
        schemas["Letter"] = letter
        schemas["Measure"]["properties"]["type"] |= {"enum": sorted(known_types)}
        schemas["Receipt"] = RECEIPT
        describe(whole, messages.life)

    app.additions.append(add_posts)
    return app


TOO_MANY = "Too many requests: `Retry-After` says when to come again"
_READING = PROBLEMS | documented({429: TOO_MANY})
RECEIPT = {
    "type": "object",
    "required": ["id", "reference", "received_at", "digest"],
    "properties": {
        "id": {"type": "string"},
        "reference": {"type": "string"},
        "received_at": {"type": "string", "format": "date-time"},
        "digest": {"type": "string"},
        "cases": {"type": "array", "items": {"$ref": "#/components/schemas/CaseView"}},
    },
}


def _post_operation() -> dict[str, Any]:
    """The hot route in the document; it is served by `door.Door`."""
    receipt = {"content": {JSON: {"schema": {"$ref": "#/components/schemas/Receipt"}}}}
    told = {
        "200": {"description": "The same letter again: the same receipt; or an answer per NDJSON line", **receipt},
        "202": {"description": "Accepted: the letter is in safe keeping", **receipt},
    }
    refused = {
        400: "Not JSON",
        401: "Not authorized",
        403: "Forbidden",
        409: "The reference stands for another letter",
        413: "Too large",
        415: "Unsupported media type",
        422: "The letter has bad fields",
        429: TOO_MANY,
        503: "Come again later",
    }
    return {
        "summary": "File a letter, or many",
        "operationId": "file_letters",
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": "#/components/schemas/Letter"}},
                NDJSON: {"schema": {"type": "string", "description": "one letter per line"}},
            },
        },
        "responses": told | {str(status): one for status, one in documented(refused).items()},
    }
