"""What must hold beside the table: each guard by its name in the life cycle; True lets the update pass.

What a guard rests on (article, rule) stands beside its name in the life cycle file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from services.router.domain.clocking import HOLD, is_held
from services.router.domain.linking import DECIDED, KEPT_PHASES
from services.router.domain.rules import Rules
from shared import clocks
from shared.life_cycle import Update
from shared.times import read
from shared.vocabulary import DESK

TO_THE_SECOND = "to the second"
"""How an end that somebody sets is compared: sixty days are enough, without the rest of the sixtieth day."""
LEEWAY = timedelta(minutes=5)
"""By how much clocks of two States may differ."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A case, what is said about it, and when."""

    state: Mapping[str, Any]
    update: Update
    now: datetime
    rules: Rules
    target: str | None = None
    """For an update that moves the case: to whom."""

    @property
    def said(self) -> Mapping[str, Any]:
        """The open fields."""
        return self.update.open

    @property
    def on(self) -> date:
        """The day whose law counts."""
        return self.rules.day(self.state)

    @property
    def did(self) -> Mapping[str, str]:
        """What happened before, and when."""
        found: Mapping[str, str] = self.state.get("did", {})
        return found


def _allowed_ground(at: Situation) -> bool:
    return set(at.said["grounds"]) <= set(at.rules.law.grounds(at.state["type"]))


def _not_alone(at: Situation) -> bool:
    grounds = at.rules.law.text.refusal_grounds
    return any(grounds[ground].alone for ground in at.said["grounds"])


def _consulted_first(at: Situation) -> bool:
    return "consultation_opened" in at.did


def _long_enough(at: Situation) -> bool:
    until = at.said.get("until")
    return until is None or read(until) >= _least_end(at)


def _least_end(at: Situation) -> datetime:
    """The end that the law asks for at least."""
    began, law = read(at.said["preserved_from"]), at.rules.law
    spans = [
        rule.span
        for rule in at.rules.clocks(at.state)
        if rule.span.starts == at.update.name and rule.span.lasts and rule.kind == "statutory"
    ]
    return max(
        (clocks.end_of(began, s.lasts or "", s.counted, TO_THE_SECOND, law.calendar) for s in spans), default=began
    )


def _later_end(at: Situation) -> bool:
    now_until = (at.state.get("preservation") or {}).get("until")
    return now_until is None or at.said["until"] > now_until


def _is_kept(at: Situation) -> bool:
    phase = (at.state.get("preservation") or {}).get("phase")
    return phase in KEPT_PHASES | {HOLD, DECIDED} or bool(at.state.get("arrest"))


def _decided_first(at: Situation) -> bool:
    return not is_held(at.state)


def _sender_told_first(at: Situation) -> bool:
    return not at.said.get("secrecy_cannot_be_kept") or "confidentiality_breached" in at.did


def _right_authority(at: Situation) -> bool:
    if at.target is None or at.target == DESK:
        return True
    type = at.said.get("type", at.state["type"])
    named = at.rules.law.named(type, at.state["direction"], at.on)
    return named in (None, at.target) and at.rules.law.may_hold(at.target, type)


def _moves(at: Situation) -> bool:
    stays_in_triage = at.state["status"] == "triage" and at.update.name == "triage_decided"
    return at.target != at.state["authority"] or (stays_in_triage and at.target == DESK)


def _was_triaged(at: Situation) -> bool:
    return at.state["authority"] == DESK or bool(at.state.get("triaged"))


def _complete_before_sending(at: Situation) -> bool:
    return not at.state.get("missing")


def _lies_ahead(at: Situation) -> bool:
    days = [at.said[name] for name in ("review_on", "valid_until") if name in at.said]
    return all(read(day) > at.now for day in days)


def _not_in_the_future(at: Situation) -> bool:
    field = at.rules.life.updates[at.update.name].text.happened_at
    return field is None or field not in at.said or read(at.said[field]) <= at.now + LEEWAY


def _consent_first(at: Situation) -> bool:
    return not at.state.get("restricted") or "consented" in at.did


def _known_outcome(at: Situation) -> bool:
    outcome = at.said.get("outcome")
    return outcome is None or outcome in at.rules.law.outcomes(at.state["type"])


def _known_words(at: Situation) -> bool:
    known = {content.word for content in at.rules.law.required(at.state["type"], at.on)}
    return set(at.said.get("words", ())) <= known


def _is_awaited(at: Situation) -> bool:
    return ORAL in at.state.get("marks", ())


ORAL = "oral-written-confirmation-pending"
"""The mark of an oral request that was not confirmed in writing yet (UNCC article 40(13))."""

Guard = Callable[[Situation], bool]
GUARDS: Mapping[str, Guard] = {
    "allowed-ground": _allowed_ground,
    "not-alone": _not_alone,
    "consulted-first": _consulted_first,
    "long-enough": _long_enough,
    "later-end": _later_end,
    "is-kept": _is_kept,
    "decided-first": _decided_first,
    "sender-told-first": _sender_told_first,
    "right-authority": _right_authority,
    "moves": _moves,
    "was-triaged": _was_triaged,
    "complete-before-sending": _complete_before_sending,
    "lies-ahead": _lies_ahead,
    "not-in-the-future": _not_in_the_future,
    "consent-first": _consent_first,
    "known-outcome": _known_outcome,
    "known-words": _known_words,
    "is-awaited": _is_awaited,
}
