"""What authorities and the desk read and say by HTTP: their cases, and what they did with them."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Query, Request, Response
from pydantic.config import JsonDict
from starlette.routing import BaseRoute

from services.router.document import request_body, schemas
from services.router.domain.deciding import NO_SUCH_CASE
from services.router.domain.rules import Rules
from services.router.domain.updating import NOT_THE_HOLDER, Rejection, Unanswerable
from services.router.handlers import heard_from
from services.router.views import CasePage, CaseView, content_of, overdue_query, story, view
from shared import problems, strict_json
from shared.bad_letter import BadLetter, FieldError
from shared.decisions import Message
from shared.events import UPDATE_REJECTED, Event
from shared.failures import Bug
from shared.http import PROBLEMS, api, caller_of, documented
from shared.life_cycle import Update
from shared.log import logger
from shared.loop import Outcome
from shared.mongo import Store
from shared.posts import Posts, QueueFull
from shared.problems import ProblemError
from shared.records import Record, event_of, record_of
from shared.sealing import Broken, Sealer
from shared.states import STATES
from shared.tokens import Verifier
from shared.vocabulary import DESK
from shared.yaml_file import did_you_mean

PATH = "/v1/cases"
OUR_OWN = frozenset({"clock", "router"})
"""Who speaks beside people: what they say in between makes no repeated update a new one."""
PAGE = 100
"""Cases at once."""
JSON = "application/json"
MAX_UPDATE_BYTES = 512 * 1024
_CASE = re.compile(r"cas_[0-9a-f]{32}")
_AFTER = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z~cas_[0-9a-f]{32}$"


class Cases:
    """The cases that one who asks may see, read from their store."""

    def __init__(self, store: Store, sealer: Sealer, rules: Rules, now: Callable[[], datetime]) -> None:
        self._store, self._sealer, self._rules, self._now = store, sealer, rules, now
        self._log = logger(collection=store.name)

    async def one(self, caller: str, case: str, *, sure: bool = False) -> CaseView:
        """A case with its story; what is not the caller's does not exist. `sure`: see `Store.find`."""
        record, history = await self.opened(caller, case, sure=sure)
        found = view(case, record.state, caller, self._now(), self._rules)
        found.story = story(history, caller, record.state["lane"])
        found.content = content_of(history, caller, record)
        return found

    async def opened(self, caller: str, case: str, *, sure: bool = False) -> tuple[Record, list[Event]]:
        """The record and its history."""
        for document in await self._store.histories([case], sure=sure):
            if caller in (document["state"]["authority"], DESK):
                try:
                    record = record_of({**document, "causes": (), "chain": b""}, self._sealer)
                    return record, [event_of(record.id, form, record.key) for form in document["history"]]
                except Broken:
                    self._log.error("does not open", record=case)
                    raise ProblemError(problems.unavailable()) from None
        raise ProblemError(problems.not_found())

    async def cause(self, caller: str, case: str, said: str, *, has_id: bool) -> str:
        """What makes an update the same one: its own id, or else its words with nothing said in between."""
        source = f"http/{caller}/{case}"
        if has_id:
            return self._rules.ids.cause(source, said)
        version = 0
        for document in await self._store.histories([case], sure=True):
            version, history = document["version"], document["history"]
            spoken = [form for form in history if form["by"] not in OUR_OWN]
            if spoken:
                if spoken[-1]["type"] == UPDATE_REJECTED:
                    break  # what was forbidden then may be allowed now
                last = spoken[-1]["cause"]
                began = next(form["seq"] for form in spoken if form["cause"] == last)
                if self._rules.ids.cause(source, f"{said}/{began - 1}") == last:
                    return str(last)
        return self._rules.ids.cause(source, f"{said}/{version}")

    async def after(self, record: Record, caller: str) -> CaseView:
        """A case as it stands after an update; where that gave it to somebody else, without what is no longer shown."""
        if caller in (record.state["authority"], DESK):
            return await self.one(caller, record.id, sure=True)
        found = view(record.id, record.state, caller, self._now(), self._rules)
        hidden: dict[str, Any] = dict.fromkeys(("executing_body", "preservation", "arrest"))
        hidden |= {"missing": [], "defects": [], "marks": [], "clocks": [], "overdue": False, "links": []}
        return found.model_copy(update=hidden)

    async def page(self, caller: str, query: dict[str, Any], after: str | None) -> CasePage:
        """The caller's cases that match, at most `PAGE`."""
        if caller != DESK:
            query["state.authority"] = caller
        if after is not None:
            received_at, _, case = after.partition("~")
            query["state.received_at"] = {"$gte": received_at}
            later = {"state.received_at": {"$gt": received_at}}
            query["$or"] = [later, {"state.received_at": received_at, "_id": {"$gt": case}}]
        found = await self._store.find(query, {"state": 1}, limit=PAGE + 1, sort=("state.received_at", "_id"))
        last = found[PAGE - 1] if len(found) > PAGE else None
        now = self._now()
        return CasePage(
            cases=[view(one["_id"], one["state"], caller, now, self._rules) for one in found[:PAGE]],
            next=f"{last['state']['received_at']}~{last['_id']}" if last else None,
        )

    def matching(
        self,
        *,
        status: str | None,
        type: str | None,
        party: str | None,
        authority: str | None,
        reference: str | None,
        overdue: bool,
    ) -> dict[str, Any]:
        """The query; a reference of the other State is found by its id, for it is stored nowhere in the clear."""
        wanted = {"status": status, "type": type, "party": party, "authority": authority}
        query: dict[str, Any] = {f"state.{name}": value for name, value in wanted.items() if value is not None}
        if status == "triage":
            query.setdefault("state.authority", DESK)  # only the desk has such cases, and an index finds its own
        if reference is not None:
            parties: Collection[str] = [party] if party else STATES
            query["state.refs"] = {"$in": [self._rules.ids.reference(one, reference) for one in sorted(parties)]}
        if overdue:
            query |= overdue_query(self._rules.life.ends)
        return query


def build_api(
    cases: Cases, posts: Posts, rules: Rules, verifier: Verifier, routes: Sequence[BaseRoute], title: str
) -> FastAPI:
    """The routes of authorities and the desk."""
    app = api(title, routes)
    known = {*rules.law.authorities, DESK}

    def caller_with(scope: str) -> Any:
        async def authority(request: Request) -> str:
            caller = await caller_of(request, verifier, scope)
            if caller.authority is None or caller.authority not in known:
                raise ProblemError(problems.another_agency("The token names no authority that has cases here."))
            return caller.authority

        return Depends(authority)

    Reader = Annotated[str, caller_with("cases:read")]  # noqa: N806 - a type
    Writer = Annotated[str, caller_with("cases:write")]  # noqa: N806 - a type

    @app.get(PATH, responses=PROBLEMS)
    async def list_cases(
        caller: Reader,
        status: Annotated[str | None, Query(max_length=64, json_schema_extra=_of(rules.life.statuses))] = None,
        type: Annotated[str | None, Query(max_length=64, json_schema_extra=_of(rules.law.request_types))] = None,
        party: Annotated[str | None, Query(pattern="^[A-Z]{2}$")] = None,
        authority: Annotated[str | None, Query(max_length=64, json_schema_extra=_of(known))] = None,
        reference: Annotated[str | None, Query(max_length=200)] = None,
        overdue: bool = False,
        after: Annotated[str | None, Query(max_length=80, pattern=_AFTER)] = None,
    ) -> CasePage:
        """The caller's cases (all for the desk), in the order in which their letters came."""
        _check("status", status, rules.life.statuses)
        _check("type", type, rules.law.request_types)
        _check("authority", authority, known)
        if authority is not None and caller not in (authority, DESK):
            raise ProblemError(problems.not_found())
        query = cases.matching(
            status=status, type=type, party=party, authority=authority, reference=reference, overdue=overdue
        )
        return await cases.page(caller, query, after)

    @app.get(PATH + "/{case}", responses=PROBLEMS)
    async def get_case(case: str, caller: Reader) -> CaseView:
        """One case with its story, as far as it was told to the caller."""
        return await cases.one(caller, case)

    @app.post(
        PATH + "/{case}/updates",
        status_code=201,
        responses=PROBLEMS | _OF_UPDATES,
        openapi_extra=request_body(rules.life),
    )
    async def post_update(case: str, request: Request, response: Response, caller: Writer) -> CaseView:
        """What the caller did with a case; the same again (by its `id`, or its words) gets the same answer."""
        if not _CASE.fullmatch(case):
            raise ProblemError(problems.not_found())
        raw = await _body(request)
        fields = _read(raw)
        name, own = fields.pop("update", None), fields.pop("id", None)
        if not isinstance(name, str):
            raise ProblemError(problems.bad_request([FieldError("/update", "This field is required.")]))
        if own is not None and not (isinstance(own, str) and 0 < len(own) <= 200):
            raise ProblemError(problems.bad_request([FieldError("/id", "Must be text of at most 200 characters.")]))
        said = own or strict_json.digest({"update": name, **fields})
        cause = await cases.cause(caller, case, said, has_id=own is not None)
        message = Message(case, cause, caller, heard_from(caller, name, fields, rules.life))
        outcome = await _put(posts, message, len(raw))
        response.status_code = 201 if outcome.fresh else 200
        return await _told(outcome, message, cases)

    app.additions.append(lambda whole: whole["components"]["schemas"].update(schemas(rules.life)))
    return app


def _of(codes: Iterable[str]) -> JsonDict:
    """The codes that there are, for the document."""
    return {"enum": [*sorted(codes)]}


def _check(name: str, value: str | None, known: Collection[str]) -> None:
    """A code that does not exist is an error: an empty list would seem to say that there is nothing to do."""
    if value is not None and value not in known:
        hint = did_you_mean(value, known) if value.isascii() else ""
        raise ProblemError(problems.bad_request([FieldError(f"/query/{name}", f"Is not a known {name}{hint or '.'}")]))


async def _body(request: Request) -> bytes:
    """The body; 413 as soon as it is known to be over the limit."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise ProblemError(problems.unsupported_media_type((JSON,)))
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_UPDATE_BYTES:
            raise ProblemError(problems.too_large(f"An update has at most {MAX_UPDATE_BYTES} bytes."))
    return bytes(raw)


def _read(raw: bytes) -> dict[str, Any]:
    try:
        sent, cleaned, errors, _ = strict_json.read(raw)
    except BadLetter as bad:
        raise ProblemError(problems.bad_letter(bad)) from None
    if errors or not isinstance(sent, dict):
        raise ProblemError(problems.bad_request(errors or [FieldError("", "Must be an object.")]))
    return dict(cleaned or {})


async def _put(posts: Posts, message: Message, size: int) -> Outcome:
    try:
        (outcome,) = await posts.put([message], size)
    except QueueFull:
        raise ProblemError(problems.queue_full()) from None
    return outcome


async def _told(outcome: Outcome, message: Message, cases: Cases) -> CaseView:
    """The case as it stands after the update, or why it was rejected: also where that was said before."""
    if isinstance(outcome.refused, Bug):
        raise ProblemError(problems.internal())
    if outcome.refused is not None:
        if isinstance(outcome.refused, Unanswerable):
            raise ProblemError(problems.rejected(outcome.refused.data))
        if str(outcome.refused) in (NO_SUCH_CASE, NOT_THE_HOLDER):
            raise ProblemError(problems.not_found())
        raise ProblemError(problems.bad_request([FieldError("", f"Cannot be kept: {outcome.refused}.")]))
    if isinstance(outcome.reply, Rejection):
        raise ProblemError(problems.rejected(outcome.reply.data))
    if not outcome.fresh:
        _, history = await cases.opened(DESK, message.record, sure=True)
        first = next(event for event in history if event.cause == message.cause)
        if not _is_same(first, message.body.update):
            raise ProblemError(problems.used_id())
        if first.type == UPDATE_REJECTED:
            raise ProblemError(problems.rejected({**first.data, **orjson.loads(first.content or b"{}")}))
    return await cases.after(outcome.record, message.by)


def _is_same(before: Event, update: Update) -> bool:
    """Whether an update repeats what was said under its id; of a rejected one only the name was kept."""
    if before.type == UPDATE_REJECTED:
        return bool(before.data["update"] == update.name)
    said, sealed = before.data.get("said", {}), orjson.loads(before.content or b"{}")
    return (before.data.get("update"), said, sealed) == (
        update.name,
        dict(update.open),
        orjson.loads(orjson.dumps(dict(update.sealed))),
    )


_OF_UPDATES = documented(
    {
        400: "Not JSON",
        409: "Forbidden now: the rule, and what is allowed; or the id is another update's",
        413: "Too large",
        415: "Unsupported media type",
    }
) | {200: {"description": "Said before: the case as it stands"}}
