"""What must hold beside the table: each guard by its name in the life cycle; True lets the update pass.

What a guard rests on (article, rule) stands beside its name in the life cycle file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from services.router.domain.clocking import HOLD, LAPSE, STATUTORY, is_held, is_in_custody
from services.router.domain.linking import KEPT_PHASES
from services.router.domain.rules import Rules
from shared import clocks
from shared.life_cycle import Update
from shared.records import Record
from shared.times import read, text_of
from shared.vocabulary import DESK, Direction, Urgency

TO_THE_SECOND = "to the second"
"""How an end that somebody sets is compared: sixty days are enough, without the rest of the sixtieth day."""
LEEWAY = timedelta(minutes=5)
"""By how much clocks of two States may differ."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A case, what is said about it, and when."""

    record: Record
    update: Update
    now: datetime
    rules: Rules
    actors: frozenset[str]
    """Who speaks: holder, desk, agency, gateway."""
    target: str | None = None
    """For an update that moves the case: to whom."""

    @property
    def state(self) -> Mapping[str, Any]:
        """The case as it stands."""
        return self.record.state

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
    about = {"refused": "refusal", "postponed": "postponement"}[at.update.name]
    return about in at.state.get("consulted", ())


def _long_enough(at: Situation) -> bool:
    until = at.said.get("until")
    return until is None or read(until) >= _least_end(at.said["preserved_from"], at, TO_THE_SECOND)


def end_of_preservation(at: Situation) -> datetime:
    """Until when data stay preserved: as it was said, and never less than the law asks for."""
    least = _least_end(at.said["preserved_from"], at)
    return max(read(at.said["until"]), least) if "until" in at.said else least


def _least_end(began: str, at: Situation, rounding: str | None = None) -> datetime:
    """The end that the law asks for at least, for what was preserved since then."""
    law, since = at.rules.law, read(began)
    spans = [
        rule.span
        for rule in at.rules.clocks(at.state)
        if rule.span.at_end == LAPSE and rule.span.lasts and rule.kind == STATUTORY
    ]
    ends = (clocks.end_of(since, s.lasts or "", s.counted, rounding or s.rounding, law.calendar) for s in spans)
    return max(ends, default=since)


def _never_shorter(at: Situation) -> bool:
    kept = at.state.get("preservation") or {}
    end = end_of_preservation(at)
    return end > at.now and text_of(end) >= kept.get("until", "")


def _later_end(at: Situation) -> bool:
    return bool(at.said["until"] > at.state["preservation"]["until"])


def _is_kept(at: Situation) -> bool:
    return is_preserved(at.state) or is_in_custody(at.state) or _may_be_released(at.state)


def is_preserved(state: Mapping[str, Any]) -> bool:
    """Whether data are preserved for this case."""
    return (state.get("preservation") or {}).get("phase") in KEPT_PHASES | {HOLD}


def _may_be_released(state: Mapping[str, Any]) -> bool:
    """A person whose documents have come is held on; they can still be released."""
    arrest = state.get("arrest") or {}
    return bool(arrest) and "released_at" not in arrest


def _kept_long_enough(at: Situation) -> bool:
    """Until the end that was said to the other State, or the least of the law where none was said."""
    if not is_preserved(at.state):
        return True
    kept = at.state["preservation"]
    least = _least_end(kept["from"], at, TO_THE_SECOND)
    said = read(kept["until"])
    whole_days = _least_end(kept["from"], at)
    return at.now >= (least if said <= whole_days else said)


def _nobody_held(at: Situation) -> bool:
    return not is_in_custody(at.state)


def _arrested_once(at: Situation) -> bool:
    arrest = at.state.get("arrest") or {}
    return not arrest or "released_at" in arrest or at.said["arrested_at"] < arrest["at"]


def _nothing_kept(at: Situation) -> bool:
    """A case that holds data or a person does not become another kind of case."""
    changes = at.said.get("type", at.state["type"]) != at.state["type"]
    return not changes or not (is_preserved(at.state) or is_in_custody(at.state))


def _once(at: Situation) -> bool:
    return at.update.name not in at.did


def _never_lowered(at: Situation) -> bool:
    order = list(Urgency)
    lowered = order.index(Urgency(at.said["urgency"])) < order.index(Urgency(at.state["urgency"]))
    return not lowered or at.actors != {"holder"}


def _was_offered(at: Situation) -> bool:
    return bool(at.state.get("offered"))


def _was_suspected(at: Situation) -> bool:
    return at.said["other"] in {one["case"] for one in at.state.get("duplicates", ())}


def _decided_first(at: Situation) -> bool:
    return not is_held(at.state)


def _sender_told_first(at: Situation) -> bool:
    return not at.said.get("secrecy_cannot_be_kept") or "confidentiality_breached" in at.did


def _right_authority(at: Situation) -> bool:
    if at.target is None or at.target == DESK:
        return True
    type = at.said.get("type", at.state["type"])
    # Without a treaty between the two States the named authority is a hint: the law's limbs rest on treaties.
    named = at.rules.law.named(type, at.state["direction"], at.on) if at.state.get("treaty") else None
    return named in (None, at.target) and at.rules.law.may_hold(at.target, type)


def _moves(at: Situation) -> bool:
    if at.said.get("type", at.state["type"]) != at.state["type"]:
        return True  # it becomes another kind of case, wherever it is
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
    restricted = at.state.get("restricted")
    return restricted is None or at.did.get("consented", "") >= restricted


def _known_outcome(at: Situation) -> bool:
    outcome = at.said.get("outcome")
    return outcome is None or outcome in at.rules.law.outcomes(at.state["type"])


def _borne_out(at: Situation) -> bool:
    outcome = at.said.get("outcome")
    claims = at.rules.law.text.outcomes[outcome].claims if outcome else None
    return claims is None or at.state["direction"] == Direction.OUTGOING or claims in at.state


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
    "never-shorter": _never_shorter,
    "kept-long-enough": _kept_long_enough,
    "nobody-held": _nobody_held,
    "arrested-once": _arrested_once,
    "nothing-kept": _nothing_kept,
    "once": _once,
    "never-lowered": _never_lowered,
    "was-offered": _was_offered,
    "was-suspected": _was_suspected,
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
    "borne-out": _borne_out,
    "known-words": _known_words,
    "is-awaited": _is_awaited,
}

NEEDS: Mapping[str, frozenset[str]] = {
    "allowed-ground": frozenset({"grounds"}),
    "not-alone": frozenset({"grounds"}),
    "long-enough": frozenset({"preserved_from"}),
    "never-shorter": frozenset({"preserved_from"}),
    "later-end": frozenset({"until"}),
    "arrested-once": frozenset({"arrested_at"}),
    "never-lowered": frozenset({"urgency"}),
    "was-suspected": frozenset({"other"}),
}
"""Which fields an update must have so that a guard can judge it."""
