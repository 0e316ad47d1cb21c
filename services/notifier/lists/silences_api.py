"""`/v1/silences`: the desk holds some notices back for a while, says who and why, and ends it again."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.notifier.domain.silences import Begin, End
from services.notifier.domain.subscriptions import Refused
from services.notifier.lists.desk import BODIES, MOST_BYTES, WHEN, desk_by, refusal, said, wrong_facts
from services.notifier.lists.directory import Directory, Silence
from services.notifier.lists.subscription_forms import Until, When
from services.notifier.rules.alert_rules import AlertRules
from shared import problems, strict_json
from shared.bodies import body_of, json_in, typed
from shared.http import PROBLEMS
from shared.ids import Ids
from shared.posts import Posts
from shared.problems import ProblemError
from shared.times import text_of
from shared.tokens import Verifier
from shared.words import Person, Reason

PATH = "/v1/silences"


class NewSilence(BaseModel):
    """What is to be held back."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    when: Annotated[When, Field(json_schema_extra={"minProperties": 1})]
    """Facts and the values that match, as in the alerts file."""
    author: Person
    """Who answers for it."""
    reason: Reason
    until: Until
    """At most 7 days ahead."""


class SilenceView(BaseModel):
    """A silence as the desk sees it."""

    id: str
    when: dict[str, list[str]]
    author: str
    reason: str
    begun_at: str
    until: str
    not_held_back: list[str]
    """What it may match and does not hold back."""


class SilenceList(BaseModel):
    """The silences in force, the first to end first."""

    silences: list[SilenceView]


def add_silences(
    app: FastAPI,
    verifier: Verifier,
    posts: Posts,
    directory: Directory,
    ids: Ids,
    rules: AlertRules,
) -> None:
    """The routes."""
    Desk = Annotated[str, desk_by(verifier)]  # noqa: N806 - a type

    def view(one: Silence) -> SilenceView:
        return SilenceView(
            id=one.id,
            when={fact: [*values] for fact, values in one.when.items()},
            author=one.author,
            reason=one.reason,
            begun_at=text_of(one.begun_at),
            until=text_of(one.until),
            not_held_back=[matcher.says for matcher in rules.touches(one.when)],
        )

    @app.post(PATH, status_code=201, responses=PROBLEMS | BODIES | _AGAIN, openapi_extra=body_of(NewSilence))
    async def begin(request: Request, response: Response, _desk: Desk) -> SilenceView:
        """Hold back what matches; the same again is the same silence. What nothing holds back is refused, or named."""
        raw = await json_in(request, MOST_BYTES)
        new = typed(raw, NewSilence, WHEN)
        if errors := wrong_facts("/when", new.when, rules.values):
            raise ProblemError(problems.bad_request(errors))
        asked = _begin(new)
        silence = ids.silence(strict_json.digest([asked.when, asked.author, asked.reason, asked.until]))
        outcome = await said(posts, silence, asked, len(raw))
        if isinstance(outcome.reply, Refused):
            raise ProblemError(refusal(outcome.reply, 422, rules.touches(new.when)))
        response.status_code = 201 if outcome.fresh else 200
        await directory.refresh(sure=True)
        state = outcome.record.state
        return view(
            Silence(silence, asked.when, asked.author, asked.reason, _at(state["begun_at"]), _at(state["ends"]))
        )

    @app.get(PATH, responses=PROBLEMS)
    async def list_silences(_desk: Desk) -> SilenceList:
        """Those in force."""
        await directory.refresh()
        return SilenceList(silences=[view(one) for one in directory.silences])

    @app.delete(PATH + "/{silence}", status_code=204, responses=PROBLEMS)
    async def end(silence: str, _desk: Desk) -> None:
        """End it now; one that has ended stays so."""
        outcome = await said(posts, silence, End())
        if isinstance(outcome.reply, Refused):
            raise ProblemError(refusal(outcome.reply, 409))
        await directory.refresh(sure=True)


def _begin(new: NewSilence) -> Begin:
    when = {fact: sorted({*values}) for fact, values in sorted(new.when.items())}
    return Begin(when, new.author, new.reason, text_of(new.until))


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


_AGAIN: dict[int | str, dict[str, Any]] = {200: {"description": "It is in force already"}}
