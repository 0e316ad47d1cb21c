"""`/v1/notices`: recipients read and acknowledge their own notices, the desk everybody's."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, StringConstraints

from services.notifier.acknowledgement.acknowledging import API, WHO, Acknowledged, Acknowledging, who
from services.notifier.acknowledgement.notices_views import STATUSES, NoticePage, Notices, NoticeView
from services.notifier.acknowledgement.words import DEFAULT, load_words
from shared import problems
from shared.bad_letter import FieldError
from shared.bodies import body_of, json_in, typed
from shared.http import PROBLEMS, caller_of, documented
from shared.mongo import Store
from shared.posts import QueueFull
from shared.problems import ProblemError
from shared.tokens import Verifier
from shared.vocabulary import DESK
from shared.yaml_file import did_you_mean

PATH = "/v1/notices"
READ, WRITE = "notices:read", "notices:write"
MOST_BYTES = 4_096
_AFTER = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z~not_[0-9a-f]{32}$"


class Acknowledgement(BaseModel):
    """What may be said with an acknowledgement."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    by: Annotated[str, StringConstraints(pattern=f"^{WHO.pattern}$")] | None = None
    """Who of the caller's people: an id, no name."""


class Answer(BaseModel):
    """How the notice stands after it."""

    notice: str
    alert: str
    acknowledged_at: str
    by: str
    already: bool
    ended: str | None
    says: str


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who reads."""

    name: str
    recipient: str | None
    """Whose notices it may see; None: everybody's."""


def add_notices(app: FastAPI, verifier: Verifier, store: Store, acknowledging: Acknowledging) -> None:
    """The routes."""
    notices, words = Notices(store), load_words()[DEFAULT]

    def caller_with(scope: str) -> Any:
        async def reader(request: Request) -> _Reader:
            caller = await caller_of(request, verifier, scope)
            if caller.authority == DESK:
                return _Reader(DESK, None)
            if caller.subscriber is None:
                raise ProblemError(problems.another_agency("The token names no recipient of notices."))
            return _Reader(caller.subscriber, caller.subscriber)

        return Depends(reader)

    @app.get(PATH, responses=PROBLEMS)
    async def list_notices(
        caller: Annotated[_Reader, caller_with(READ)],
        status: Annotated[str | None, Query(max_length=64, json_schema_extra={"enum": [*STATUSES]})] = None,
        about: Annotated[str | None, Query(pattern="^[a-z]{3}_[0-9a-f]{32}$")] = None,
        acknowledged: bool | None = None,
        unsent: bool | None = None,
        after: Annotated[str | None, Query(max_length=80, pattern=_AFTER)] = None,
    ) -> NoticePage:
        """The caller's notices (all for the desk), in the order in which they were raised."""
        if status is not None and status not in STATUSES:
            hint = did_you_mean(status, STATUSES) if status.isascii() else ""
            wrong = FieldError("/query/status", f"Is not a known status{hint or '.'}")
            raise ProblemError(problems.bad_request([wrong]))
        return await notices.page(
            caller.recipient, status=status, about=about, acknowledged=acknowledged, unsent=unsent, after=after
        )

    @app.get(PATH + "/{notice}", responses=PROBLEMS)
    async def get_notice(notice: str, caller: Annotated[_Reader, caller_with(READ)]) -> NoticeView:
        """One notice with everything that happened to it."""
        return await _found(notices, notice, caller)

    @app.post(
        PATH + "/{notice}/acknowledgement",
        responses=PROBLEMS | _MORE,
        openapi_extra=body_of(Acknowledgement, required=False),
    )
    async def post_acknowledgement(
        notice: str, request: Request, caller: Annotated[_Reader, caller_with(WRITE)]
    ) -> Answer:
        """The caller has seen it and takes it; again, or too late, is said in the answer and is no failure."""
        raw = await json_in(request, MOST_BYTES)
        said = typed(raw, Acknowledgement) if raw else Acknowledgement()
        await _found(notices, notice, caller, sure=True)
        try:
            acknowledged = await acknowledging.acknowledge(notice, who(caller.name, said.by), API)
        except QueueFull:
            raise ProblemError(problems.queue_full()) from None
        if acknowledged is None:
            raise ProblemError(problems.not_found())
        return _answer(acknowledged, words.outcome(acknowledged, acknowledged.acknowledged_at))


async def _found(notices: Notices, notice: str, caller: _Reader, *, sure: bool = False) -> NoticeView:
    """The notice; what is not the caller's does not exist."""
    found = await notices.one(notice, caller.recipient, sure=sure)
    if found is None:
        raise ProblemError(problems.not_found())
    return found


def _answer(said: Acknowledged, sentence: str) -> Answer:
    return Answer(
        notice=said.notice,
        alert=said.alert,
        acknowledged_at=said.acknowledged_at,
        by=said.by,
        already=said.already,
        ended=said.ended,
        says=sentence,
    )


_MORE = documented({400: "Not JSON", 413: "Too large", 415: "Unsupported media type"})
