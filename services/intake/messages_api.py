"""`POST /v1/letters/{id}/messages`: what agencies and gateways say on a letter of before."""

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Request, Response

from services.intake.domain import NotTaken, Why
from services.intake.domain.messages import receipt_of, saying
from services.intake.door import JSON, PATH, SCOPE, read_body, take_one
from shared import problems
from shared.bad_letter import BadLetter, FieldError
from shared.document import null_is_left_out
from shared.failures import Bug, TryAgain
from shared.http import caller_of, documented
from shared.ids import Ids
from shared.letter_message import LetterMessage, parse_message, schema_of_messages
from shared.life_cycle import LifeCycle
from shared.limits import CONTRACT, Limits
from shared.loop import Outcome
from shared.partners import Agency
from shared.posts import Posts, QueueFull
from shared.problems import Problem, ProblemError
from shared.rates import Rates
from shared.tokens import Verifier

MESSAGES = PATH + "/{letter}/messages"


class MessagesDoor:
    """Takes messages over HTTP."""

    def __init__(
        self,
        agencies: Mapping[str, Agency],
        life: LifeCycle,
        ids: Ids,
        posts: Posts,
        rates: Rates,
        limits: Limits = CONTRACT,
    ) -> None:
        """`rates`: the door's own, for a message counts as a letter does."""
        self.agencies, self.life, self.rates, self.limits = agencies, life, rates, limits
        self._ids, self._posts = ids, posts

    async def take(self, agency: str, letter: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        """The status and the answer; raises `ProblemError`."""
        message = self._read(raw, letter)
        speakers = frozenset(self.life.updates[message.update.name].text.by)
        said = saying(agency, letter, message, speakers, self.agencies[agency].gateway, self._ids)
        try:
            (outcome,) = await self._posts.put([said], len(raw))
        except QueueFull:
            raise ProblemError(problems.queue_full()) from None
        except TryAgain:
            raise ProblemError(problems.unavailable()) from None
        if (problem := _problem(outcome)) is not None:
            raise ProblemError(problem)
        return 202 if outcome.fresh else 200, receipt_of(letter, said.body, outcome.record.state)

    def _read(self, raw: bytes, letter: str) -> LetterMessage:
        try:
            return parse_message(raw, self.life, letter, self.limits)
        except BadLetter as bad:
            raise ProblemError(_bad(bad.errors) if bad.status == 422 else problems.bad_letter(bad)) from None


def add_messages(app: FastAPI, door: MessagesDoor, verifier: Verifier) -> None:
    """The route; its part of the document is `operation`, made from the life cycle's table."""

    async def agency(request: Request) -> str:
        caller = await caller_of(request, verifier, SCOPE)
        if caller.agency is None or caller.agency not in door.agencies:
            raise ProblemError(problems.another_agency("The token names no agency that files letters here."))
        take_one(door.rates, caller.agency)
        return caller.agency

    @app.post(MESSAGES, include_in_schema=False)
    async def post_message(letter: str, request: Request, caller: Annotated[str, Depends(agency)]) -> Response:
        """One message on a letter."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != JSON:
            raise ProblemError(problems.unsupported_media_type((JSON,)))
        raw = await read_body(dict(request.scope["headers"]), request.receive, door.limits.letter_bytes)
        status, told = await door.take(caller, letter, raw)
        return Response(orjson.dumps(told), status, media_type=JSON)


def _problem(outcome: Outcome) -> Problem | None:
    if isinstance(outcome.refused, Bug):
        return problems.internal()
    if outcome.refused is not None:
        return _bad((FieldError("", f"Cannot be kept: {outcome.refused}."),))
    if not isinstance(outcome.reply, NotTaken):
        return None
    return {
        Why.NO_LETTER: problems.not_found(),
        Why.NOT_ITS_WORD: problems.another_agency("This is not for this agency to say on this letter."),
        Why.BAD_FIELDS: _bad(outcome.reply.errors),
        Why.ANOTHER: Problem(
            "urn:rogatory:problem:conflict",
            "Another message has this id",
            409,
            "A message with this id was sent before and says something else.",
            outcome.reply.errors,
        ),
    }[outcome.reply.why]


def _bad(errors: tuple[FieldError, ...]) -> Problem:
    detail = "One field is wrong." if len(errors) == 1 else f"{len(errors)} fields are wrong."
    return Problem("urn:rogatory:problem:bad-message", "The message has bad fields", 422, detail, errors)


RECEIPT = {
    "type": "object",
    "required": ["id", "letter", "message", "received_at"],
    "properties": {
        "id": {"type": "string"},
        "letter": {"type": "string"},
        "message": {"type": "string"},
        "received_at": {"type": "string", "format": "date-time"},
    },
}


def describe(whole: dict[str, Any], life: LifeCycle) -> None:
    """Put the route into the OpenAPI document: each message with its own fields."""
    schemas = whole.setdefault("components", {}).setdefault("schemas", {})
    message = null_is_left_out(schema_of_messages(life))
    schemas.update(message.pop("$defs"))
    schemas |= {"LetterMessage": message, "MessageReceipt": RECEIPT}
    receipt = {"content": {JSON: {"schema": {"$ref": "#/components/schemas/MessageReceipt"}}}}
    told = {"200": {"description": "The same message again", **receipt}, "202": {"description": "Accepted", **receipt}}
    refused = {
        400: "Not JSON",
        401: "Not authorized",
        403: "Forbidden, or not for this agency to say",
        404: "No such letter of the caller's",
        409: "Another message has this id",
        413: "Too large",
        415: "Unsupported media type",
        422: "The message has bad fields",
        429: "Too many requests: `Retry-After` says when to come again",
        503: "Come again later",
    }
    whole["paths"].setdefault(MESSAGES, {})["post"] = {
        "summary": "Say something on a letter",
        "operationId": "post_message",
        "parameters": [{"name": "letter", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/LetterMessage"}}},
        },
        "responses": told | {str(status): one for status, one in documented(refused).items()},
    }
