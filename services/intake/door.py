"""`POST /v1/letters`: the one hot route, as a plain ASGI application (framework layers cost a quarter of the time).

One letter as JSON, or many as NDJSON, each answered for itself.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

import orjson

from services.intake.domain import Conflict, filing
from shared import problems, strict_json, times
from shared.bad_letter import BadLetter, FieldError
from shared.decisions import Message
from shared.failures import Bug, TryAgain, place_of
from shared.ids import Ids
from shared.letter import Letter, parse_letter
from shared.limits import CONTRACT, Limits
from shared.log import logger
from shared.loop import Outcome
from shared.pace import Turn
from shared.posts import AT_ONCE, Posts, QueueFull
from shared.problems import MEDIA_TYPE, Problem, ProblemError
from shared.rates import Rates
from shared.tokens import Verifier
from shared.under_way import CALLER

PATH = "/v1/letters"
SCOPE = "letters:write"
JSON, NDJSON = "application/json", "application/x-ndjson"

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Answer = tuple[int, str, bytes, Sequence[tuple[str, str]]]
"""Status, media type, body, and headers beside these."""


class Door:
    """Takes letters over HTTP."""

    def __init__(
        self,
        verifier: Verifier,
        agencies: Mapping[str, Any],
        known_types: frozenset[str],
        ids: Ids,
        posts: Posts,
        rates: Rates,
        limits: Limits = CONTRACT,
    ) -> None:
        self._verifier, self._agencies, self._types, self._ids = verifier, agencies, known_types, ids
        self._posts, self._rates, self._limits = posts, rates, limits

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            status, media_type, body, more = await self._answer(scope, headers, receive)
        except ProblemError as error:
            status, media_type, body, more = _refusal(error.problem)
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets a problem and we its place
            logger(part="door").error("bug", error=type(error).__name__, place=place_of(error))
            status, media_type, body, more = _refusal(problems.internal())
        pairs = [("content-type", media_type), ("content-length", str(len(body))), *more]
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes], receive: Receive
    ) -> tuple[int, str, bytes, Sequence[tuple[str, str]]]:
        agency = await self._agency(scope, headers.get(b"authorization", b"").decode("latin-1"))
        take_one(self._rates, agency)
        media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
        if media_type == JSON:
            raw = await read_body(headers, receive, self._limits.letter_bytes)
            status, told = await self._one(agency, raw)
            if isinstance(told, Problem):
                raise ProblemError(told)
            return status, JSON, orjson.dumps(told), [("location", f"{PATH}/{told['id']}")]
        if media_type == NDJSON:
            raw = await read_body(headers, receive, self._limits.batch_bytes)
            return 200, NDJSON, await self._many(agency, raw), ()
        raise ProblemError(problems.unsupported_media_type((JSON, NDJSON)))

    async def _agency(self, scope: MutableMapping[str, Any], authorization: str | None) -> str:
        caller = await self._verifier.verify(authorization, SCOPE, times.now())
        if caller.agency is None or caller.agency not in self._agencies:
            raise ProblemError(problems.another_agency("The token names no agency that files letters here."))
        scope[CALLER] = caller.name
        return caller.agency

    async def _one(self, agency: str, raw: bytes) -> tuple[int, Any]:
        try:
            letter = self._letter(agency, raw)
            (outcome,) = await self._posts.put([filing(agency, letter, self._ids)], len(raw))
        except ProblemError as error:
            return error.problem.status, error.problem
        except QueueFull:
            return 503, problems.queue_full()
        except TryAgain:
            return 503, problems.unavailable()
        return _told(letter, outcome)

    async def _many(self, agency: str, raw: bytes) -> bytes:
        lines = self._lines(raw)
        if len(lines) > 1 and (wait := self._rates.wait(agency, len(lines), taken=1)):
            raise ProblemError(problems.too_many(wait))
        self._rates.spend(agency, len(lines) - 1)
        answers: list[bytes] = []
        for at in range(0, len(lines), AT_ONCE):
            answers += await self._some(agency, lines[at : at + AT_ONCE])
        return b"".join(answers)

    def _lines(self, raw: bytes) -> list[tuple[int, bytes]]:
        """The lines that are not empty, with their numbers."""
        most = self._limits.batch_lines
        split = raw.split(b"\n", 2 * most + 1)  # with room for empty ones, and for no more
        lines = [(number, line) for number, line in enumerate(split, 1) if line.strip()]
        if len(lines) > most or len(split) > 2 * most + 1:
            raise ProblemError(problems.too_large(f"An NDJSON body has at most {most} lines."))
        return lines

    async def _some(self, agency: str, lines: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Lines that are written together; each has its own answer."""
        answers: dict[int, tuple[int, Any]] = {}
        good: list[tuple[int, Letter, Message]] = []
        turn = Turn()
        for number, line in lines:
            await turn.step()
            try:
                letter = self._letter(agency, line)
            except ProblemError as error:
                answers[number] = (error.problem.status, error.problem)
            else:
                good.append((number, letter, filing(agency, letter, self._ids)))
        size = sum(len(line) for _, line in lines)
        try:
            outcomes = await self._posts.put([message for *_, message in good], size) if good else []
        except (QueueFull, TryAgain) as error:
            away = problems.queue_full() if isinstance(error, QueueFull) else problems.unavailable()
            answers |= {number: (503, away) for number, _, _ in good}
        else:
            answers |= {n: _told(letter, o) for (n, letter, _), o in zip(good, outcomes, strict=True)}
        return [_line(number, *answers[number]) for number, _ in lines]

    def _letter(self, agency: str, raw: bytes) -> Letter:
        try:
            strict_json.refuse_many(raw)
            letter = parse_letter(raw, self._types, self._limits)
        except BadLetter as bad:
            raise ProblemError(problems.bad_letter(bad)) from None
        if letter.agency not in (None, agency):
            raise ProblemError(problems.another_agency("The letter names another agency than the token."))
        return letter


def receipt_of(record_id: str, state: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """What an agency has in hand: the same for ever, but for what has become known of its cases."""
    receipt = {"id": record_id, "reference": reference, "received_at": state["received_at"], "digest": state["digest"]}
    return receipt | ({"cases": state["cases"]} if state["cases"] else {})


def _refusal(problem: Problem) -> Answer:
    return problem.status, MEDIA_TYPE, problem.body(), problem.headers


def _told(letter: Letter, outcome: Outcome) -> tuple[int, Any]:
    if isinstance(outcome.refused, Bug):
        return 500, problems.internal()
    if outcome.refused is not None:
        return 422, problems.bad_letter(BadLetter(422, (FieldError("", f"Cannot be kept: {outcome.refused}."),)))
    if isinstance(outcome.reply, Conflict):
        return 409, problems.conflict(outcome.reply.pointers)
    return 202 if outcome.fresh else 200, receipt_of(outcome.record.id, outcome.record.state, letter.reference)


def _line(number: int, status: int, told: Any) -> bytes:
    if isinstance(told, Problem):
        return b'{"line":%d,"status":%d,"problem":%b}\n' % (number, status, told.body())
    return b'{"line":%d,"status":%d,"receipt":%b}\n' % (number, status, orjson.dumps(told))


def take_one(rates: Rates, agency: str) -> None:
    """Count one request of an agency's; raises 429 where it comes too fast."""
    if wait := rates.wait(agency):
        raise ProblemError(problems.too_many(wait))
    rates.spend(agency)


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The body; raises 413 as soon as it is known to be over the limit."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise ProblemError(problems.too_large(f"A body of this type has at most {limit} bytes."))
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ProblemError(problems.unavailable())
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise ProblemError(problems.too_large(f"A body of this type has at most {limit} bytes."))
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)
