"""`/v1/quarantine`: the desk looks at what its service has set aside, tries it again, discards it."""

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response

from shared import problems, times
from shared.bad_letter import FieldError
from shared.bodies import body_of, json_in, typed
from shared.failures import Bug
from shared.http import PROBLEMS, caller_of, documented
from shared.log import logger
from shared.loop import Outcome
from shared.moment import Moment
from shared.problems import Problem, ProblemError
from shared.quarantine.acting import Acting, Marked
from shared.quarantine.copies import original
from shared.quarantine.deciding import Act, Discard, Look, Refused, Replay, Status, Why
from shared.quarantine.foreseeing import Forecast, Foreseen
from shared.quarantine.forms import AFTER, MOST_BYTES, ReplayMany, ReplayOne, Said
from shared.quarantine.opening import opened
from shared.quarantine.reading import Entries, EntryPage, EntryView, EntryWhole, Wanted, view
from shared.sealing import Broken, Sealer
from shared.tokens import Verifier
from shared.vocabulary import DESK
from shared.words import Person, Reason
from shared.yaml_file import did_you_mean

PATH = "/v1/quarantine"
READ, WRITE, LOOK = "quarantine:read", "quarantine:write", "quarantine:look"
PAGE, MOST = 100, 500
OPERATOR = "operator"
"""Whom a token speaks for that names no agency, authority or subscriber."""
_ENTRY = re.compile(r"qua_[0-9a-f]{32}")
_SAID = 8_192
_KEEP_NOWHERE = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class _Caller:
    name: str
    account: str | None

    def who(self, by: str | None) -> tuple[str, str | None]:
        """Who answers for an act: as told, or the token's own account."""
        name = by or self.account
        if name is None:
            raise ProblemError(problems.bad_request([FieldError("/by", "Say who you are: the token names nobody.")]))
        return name, self.account

    def tries(self, by: str | None, **copy: Any) -> Replay:
        """A dry run as this caller's own replay; it needs no name, for nobody answers for it."""
        return Replay(by or self.account or "", "a dry run", self.account, **copy)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes need."""

    entries: Entries
    acting: Acting
    sealer: Sealer


def add_quarantine(app: FastAPI, verifier: Verifier, desk: Desk) -> None:
    """The routes."""

    def caller_with(scope: str) -> Any:
        async def caller(request: Request) -> _Caller:
            known = await caller_of(request, verifier, scope)
            if known.authority == DESK:
                return _Caller(DESK, known.account)
            if known.agency or known.authority or known.subscriber:
                raise ProblemError(problems.another_agency("Only the desk and operators work with the quarantine."))
            return _Caller(OPERATOR, known.account)

        return Depends(caller)

    Reader = Annotated[_Caller, caller_with(READ)]  # noqa: N806 - a type
    Writer = Annotated[_Caller, caller_with(WRITE)]  # noqa: N806 - a type
    Looker = Annotated[_Caller, caller_with(LOOK)]  # noqa: N806 - a type

    @app.get(PATH, responses=PROBLEMS)
    async def list_entries(
        _caller: Reader,
        topic: Annotated[str | None, Query(max_length=249)] = None,
        reason: Annotated[str | None, Query(max_length=500)] = None,
        status: Annotated[str | None, Query(max_length=64, json_schema_extra={"enum": [*Status]})] = None,
        older_than: Moment | None = None,
        after: Annotated[str | None, Query(max_length=80, pattern=AFTER)] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
    ) -> EntryPage:
        """What this service has set aside, the oldest first."""
        wanted = Wanted(topic, reason, _status(status), times.text_of(older_than) if older_than else None)
        return await desk.entries.page(wanted, after, limit)

    @app.post(PATH + "/replay", responses=PROBLEMS | _BODIES, openapi_extra=body_of(ReplayMany))
    async def replay_many(request: Request, caller: Writer) -> Marked | Forecast:
        """Try all again that are held and match, at most 10,000 a call; or say what that would do."""
        asked = typed(await json_in(request, _SAID), ReplayMany)
        older_than = times.text_of(asked.filter.older_than) if asked.filter.older_than else None
        wanted = Wanted(asked.filter.topic, asked.filter.reason, Status.HELD, older_than)
        if asked.dry_run:
            return await desk.acting.foresee_all(wanted)
        by, account = caller.who(asked.by)
        act = Replay(by, _why(asked.reason), account)
        if asked.after is None:
            return await desk.acting.replay_all(wanted, act, caller.name)
        begun, _, last = asked.after.partition("~")
        try:
            asked_at = desk.acting.still_asked(begun)
        except ValueError as reason:
            raise ProblemError(problems.bad_request([FieldError("/after", str(reason))])) from None
        after = await desk.entries.document(last)
        if after is None:
            raise ProblemError(problems.not_found())
        return await desk.acting.replay_all(wanted, act, caller.name, asked_at, after)

    @app.get(PATH + "/{entry}", responses=PROBLEMS | _NOT_NOW)
    async def get_entry(entry: str, caller: Reader, response: Response) -> EntryWhole:
        """One entry with its story and what a replay would do now; what was sent is masked."""
        response.headers.update(_KEEP_NOWHERE)
        return await _whole(desk, entry, caller, masked=True)

    @app.post(PATH + "/{entry}/look", responses=PROBLEMS | _BODIES | _NOT_NOW, openapi_extra=body_of(Said))
    async def look(entry: str, request: Request, caller: Looker, response: Response) -> EntryWhole:
        """What was sent, in the clear; who looked and why is kept before it is shown."""
        response.headers.update(_KEEP_NOWHERE)
        said = typed(await json_in(request, _SAID), Said)
        by, account = caller.who(said.by)
        await _done(desk.acting, entry, Look(by, said.reason, account), caller)
        return await _whole(desk, entry, caller, masked=False)

    @app.get(PATH + "/{entry}/export", responses=PROBLEMS | _NOT_NOW | _RAW, response_class=Response)
    async def export(
        entry: str,
        caller: Looker,
        reason: Annotated[Reason, Query()],
        by: Annotated[Person | None, Query()] = None,
    ) -> Response:
        """The bytes of the value as they came, as a file; who took them and why is kept before."""
        name, account = caller.who(by)
        await _done(desk.acting, entry, Look(name, reason, account, "export"), caller)
        document = await desk.entries.document(entry)
        if document is None:
            raise ProblemError(problems.not_found())
        with _opening(entry):
            value = original(opened(document, desk.sealer)).value or b""
        return Response(value, media_type="application/octet-stream", headers=_as_a_file(entry, value))

    @app.post(PATH + "/{entry}/replay", responses=PROBLEMS | _BODIES | _NOT_NOW, openapi_extra=body_of(ReplayOne))
    async def replay(entry: str, request: Request, caller: Writer) -> EntryView | Foreseen:
        """Try it again, or an edited copy of it; or say what that would do. Asking twice changes nothing."""
        asked = typed(await json_in(request, MOST_BYTES), ReplayOne)
        headers = {name: None if text is None else text.encode() for name, text in asked.headers.items()}
        if asked.dry_run:
            tried = caller.tries(asked.by, value=asked.edited, headers=headers)
            return await _foreseen(desk, entry, tried, caller)
        by, account = caller.who(asked.by)
        act = Replay(by, _why(asked.reason), account, value=asked.edited, headers=headers)
        return view(entry, (await _done(desk.acting, entry, act, caller)).record.state)

    @app.post(PATH + "/{entry}/discard", responses=PROBLEMS | _BODIES | _NOT_NOW, openapi_extra=body_of(Said))
    async def discard(entry: str, request: Request, caller: Writer) -> EntryView:
        """Nobody is to try it again; what may be urgent is proposed by one person and confirmed by another."""
        said = typed(await json_in(request, _SAID), Said)
        by, account = caller.who(said.by)
        outcome = await _done(desk.acting, entry, Discard(by, said.reason, account), caller)
        return view(entry, outcome.record.state)


def _id(entry: str) -> str:
    if not _ENTRY.fullmatch(entry):
        raise ProblemError(problems.not_found())
    return entry


def _why(reason: str | None) -> str:
    if reason is None:
        raise ProblemError(problems.bad_request([FieldError("/reason", "Say why: only a dry run needs no reason.")]))
    return reason


def _status(told: str | None) -> Status | None:
    if told is None:
        return None
    known = [status.value for status in Status]
    if told not in known:
        hint = did_you_mean(told, known) if told.isascii() else ""
        wrong = FieldError("/query/status", f"Is not a known status{hint or '.'}")
        raise ProblemError(problems.bad_request([wrong]))
    return Status(told)


async def _whole(desk: Desk, entry: str, caller: _Caller, *, masked: bool) -> EntryWhole:
    replay = await _foreseen(desk, entry, caller.tries(None), caller)
    with _opening(entry):
        found = await desk.entries.one(entry, replay, masked=masked)
    if found is None:
        raise ProblemError(problems.not_found())
    return found


async def _foreseen(desk: Desk, entry: str, tried: Replay, caller: _Caller) -> Foreseen:
    """What a replay would do now, of the entry as it is or of an edited copy."""
    with _opening(entry):
        found = await desk.acting.foresee(_id(entry), tried, caller.name)
    if found is None:
        raise ProblemError(problems.not_found())
    return found


async def _done(acting: Acting, entry: str, act: Act, caller: _Caller) -> Outcome:
    """What became of an act; every refusal is a problem."""
    outcome = await acting.act(_id(entry), act, caller.name)
    if isinstance(outcome.refused, Bug):
        raise ProblemError(problems.internal())
    if outcome.refused is not None:
        raise ProblemError(_refusal(f"It cannot be kept: {outcome.refused}.", "not-now"))
    if isinstance(outcome.reply, Refused):
        if outcome.reply.why is Why.UNKNOWN:
            raise ProblemError(problems.not_found())
        raise ProblemError(_refusal(outcome.reply.says, outcome.reply.why))
    return outcome


def _refusal(says: str, slug: str) -> Problem:
    title = "Another person must confirm" if slug == Why.SECOND else "Not as it stands now"
    return Problem(f"urn:rogatory:problem:{slug}", title, 409, says)


_DOES_NOT_OPEN = "What is sealed in it does not open: another key sealed it, or it was changed: see rogatory verify."


@contextlib.contextmanager
def _opening(entry: str) -> Iterator[None]:
    """Says what does not open as a problem."""
    try:
        yield
    except Broken:
        logger(part="quarantine").error("does not open", record=entry)
        raise ProblemError(_refusal(_DOES_NOT_OPEN, Why.NOT_NOW)) from None


def _as_a_file(entry: str, value: bytes) -> Mapping[str, str]:
    """No browser may open it, and nothing on the way may keep it."""
    digest = base64.b64encode(hashlib.sha256(value).digest()).decode()
    return {
        "content-disposition": f'attachment; filename="{entry}.bin"',
        "x-content-type-options": "nosniff",
        **_KEEP_NOWHERE,
        "repr-digest": f"sha-256=:{digest}:",
    }


_BODIES = documented({400: "Not JSON", 413: "Too large", 415: "Unsupported media type"})
_NOT_NOW = documented({409: "Not as it stands now, or not by the same person"})
_RAW: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes", "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
}
