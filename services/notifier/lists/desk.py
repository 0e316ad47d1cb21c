"""What the routes of the desk have in common: who may, and what a message to a record leads to."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Depends, Request

from services.notifier.domain.facts import FACTS
from services.notifier.domain.subscriptions import Refused, Why
from services.notifier.rules.fact_values import FactValues
from services.notifier.rules.never_held import Matcher
from shared import problems
from shared.bad_letter import FieldError
from shared.decisions import Message
from shared.failures import Bug
from shared.http import caller_of, documented
from shared.loop import Outcome
from shared.posts import Posts, QueueFull
from shared.problems import Problem, ProblemError
from shared.tokens import Verifier
from shared.vocabulary import DESK
from shared.yaml_file import did_you_mean

SCOPE = "notifier:admin"
MOST_BYTES = 16_384
WHEN = frozenset({"when"})
"""What callers give names of their own to."""
FEW = 20
"""So many words can be listed in one sentence."""
BODIES = documented({400: "Not JSON", 413: "Too large", 415: "Unsupported media type"})


def desk_by(verifier: Verifier) -> Any:
    """The parameter of a route that is for the desk alone, with a token that says so."""

    async def desk(request: Request) -> str:
        caller = await caller_of(request, verifier, SCOPE)
        if caller.authority != DESK:
            raise ProblemError(problems.another_agency("Only the desk says who hears what."))
        return DESK

    return Depends(desk)


async def said(posts: Posts, record: str, body: Any, size: int = 0) -> Outcome:
    """What became of one message to one record; every refusal is a problem.

    Each call is heard anew: that the same twice changes nothing is decided by how the record stands.
    """
    message = Message(record, f"http/{DESK}/{uuid.uuid4()}", DESK, body)
    try:
        (outcome,) = await posts.put([message], size)
    except QueueFull:
        raise ProblemError(problems.queue_full()) from None
    if isinstance(outcome.refused, Bug):
        raise ProblemError(problems.internal())
    if outcome.refused is not None:
        raise ProblemError(problems.bad_request([FieldError("", f"Cannot be kept: {outcome.refused}.")]))
    return outcome


def refusal(refused: Refused, status: int, never_held: Iterable[Matcher] = ()) -> Problem:
    """Why not, with the events that nothing holds back where it is because of them."""
    if refused.why is Why.UNKNOWN:
        return problems.not_found()
    if refused.why is Why.NEVER_HELD:
        named = [one.says for one in never_held]
        title, more = "Nothing may hold this back", {"never_held": named}
        detail = f"{refused.says} That is: {', '.join(named)}." if named else refused.says
        return Problem("urn:rogatory:problem:never-held", title, status, detail, refused.errors, more=more)
    if status == 422 or refused.why is Why.WRONG:
        return problems.bad_request(refused.errors)
    taken = refused.why is Why.TAKEN
    slug, title = ("conflict", "The name is taken") if taken else ("not-now", "Not as it stands now")
    return Problem(f"urn:rogatory:problem:{slug}", title, status, refused.says, refused.errors)


def wrong_facts(place: str, when: Mapping[str, Iterable[str]], values: FactValues) -> list[FieldError]:
    """What is wrong with facts and their values; an unknown word is not repeated."""
    errors = []
    for fact, of in when.items():
        if values.wrong_with(fact) is not None:
            errors.append(FieldError(place, f"Names what is no fact{one_of(fact, FACTS)}"))
            continue
        for number, value in enumerate(of):
            if values.wrong_with(fact, [value]) is not None:
                hint = one_of(value, values.lists.get(fact, ()))
                errors.append(FieldError(f"{place}/{fact}/{number}", f"Is no {fact} that there can be{hint}"))
    return errors


def one_of(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the nearest known one, or all where they are few."""
    listed = [*known]
    said = f"; use {', '.join(listed)}." if 0 < len(listed) <= FEW else "."
    return did_you_mean(word, listed) or said
