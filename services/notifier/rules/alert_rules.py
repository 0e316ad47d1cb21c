"""The alert rules: a table of who hears of what, matched by one pure function; `alert_file` reads it."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from services.notifier.domain.facts import FACTS
from services.notifier.rules import never_held
from services.notifier.rules.fact_values import FactValues
from services.notifier.rules.members import Audience, Ladder, Member, Quiet, SomeSpan, Step
from services.notifier.rules.never_held import BUILT_IN, Facts, Matcher, When
from shared.yaml_file import Id, Strict, Words, quoted

__all__ = ["FACTS", "LANGUAGES", "AlertRules", "Audience", "Kept", "Ladder", "Member", "Quiet", "Rule", "Step"]

LANGUAGES = ("en", "az", "ru", "fr")
"""In which a sentence can stand; English always does."""


def _by_language(read: object) -> object:
    """One sentence is the English one."""
    if not isinstance(read, dict):
        return {"en": read}
    for language in read:
        if language not in LANGUAGES:
            said = f"{quoted(language)} is no language here (use {', '.join(LANGUAGES)})"
            raise PydanticCustomError("unknown_key", "{said}", {"said": said, "key": language})
    if "en" not in read:
        raise PydanticCustomError("plain", "the English sentence (en) is missing", {})
    return read


Sentences = Annotated[Mapping[str, Words], BeforeValidator(_by_language)]


class _OrNothing(dict[str, str]):
    """Facts, and nothing for what the event does not have."""

    def __missing__(self, fact: str) -> str:
        return ""


class Rule(Strict):
    """One row: which facts it matches, whom it tells, and in what words."""

    name: Id
    when: Mapping[str, tuple[Words, ...]] = Field(default_factory=dict)
    headroom_under: SomeSpan | None = None
    """It fires only while the clock that the event is about has less time left than this."""
    tell: tuple[Id, ...]
    says: Sentences
    then_continue: bool = False

    def matches(self, facts: Facts) -> bool:
        """Whether every fact that the rule names has one of its values."""
        return all(facts.get(name) in accepted for name, accepted in self.when.items())

    def fires(self, facts: Facts, left: timedelta | None = None) -> bool:
        """Whether it matches, and its clock has as little time left as it asks for."""
        return (self.headroom_under is None or (left is not None and left < self.headroom_under)) and self.matches(
            facts
        )

    def sentence(self, facts: Facts) -> str:
        """What it says of these facts in English: the sentence that a notice keeps."""
        return self.says["en"].format_map(_OrNothing(facts))

    def words(self, facts: Facts) -> dict[str, str]:
        """What it says of these facts, by language; a fact that the event does not have is left out."""
        known = _OrNothing(facts)
        return {language: sentence.format_map(known) for language, sentence in self.says.items()}


class Kept(Strict):
    """What the file adds to the events that nothing holds back."""

    says: Words
    when: Annotated[Mapping[str, tuple[Words, ...]], Field(min_length=1)]

    @property
    def matcher(self) -> Matcher:
        """As `never_held` asks."""
        return Matcher(self.says, {fact: frozenset(values) for fact, values in self.when.items()})


@dataclass(frozen=True)
class AlertRules:
    """The rules in their order, and whom they tell."""

    rules: tuple[Rule, ...]
    audiences: Mapping[str, Audience] = field(default_factory=dict)
    ladders: Mapping[str, Ladder] = field(default_factory=dict)
    kept: tuple[Matcher, ...] = BUILT_IN
    """The events that nothing holds back."""
    values: FactValues = field(default_factory=lambda: FactValues({}))
    """What each fact can be: also what a silence or a subscription names is checked by it."""
    warnings: tuple[str, ...] = ()

    def choose(self, facts: Facts, left: timedelta | None = None) -> Sequence[Rule]:
        """The rules that fire, in order: the first match wins unless it says `then_continue`.

        `left`: how much time the clock has that the event is about.
        """
        return self._chosen(tuple(map(facts.get, self._looked_at)), self._passed(left))

    def is_never_held(self, facts: Facts) -> bool:
        """Whether nothing may hold back what is said of this event."""
        return self._is_kept(tuple(map(facts.get, self._kept_by)))

    def can_only_be_never_held(self, when: When) -> bool:
        """Whether `when` can match nothing but events that nothing may hold back."""
        return never_held.can_only_be_never_held(never_held.implied(when), self.kept)

    def touches(self, when: When) -> tuple[Matcher, ...]:
        """Which of the events that nothing may hold back `when` may match too."""
        given = never_held.implied(when)
        whole = ((one, Matcher(one.says, never_held.implied(one.when))) for one in self.kept)
        return tuple(one for one, implied in whole if never_held.touches(given, (implied,)))

    def hears_only_never_held(self, audience: str) -> bool:
        """Whether every rule that tells this audience is for events alone that nothing may hold back."""
        telling = [rule for rule in self.rules if audience in rule.tell]
        return bool(telling) and all(self.can_only_be_never_held(rule.when) for rule in telling)

    def members(self, rule: Rule) -> Sequence[Member]:
        """Whom a rule tells at once, in order and nobody twice; the steps of its ladder not among them."""
        return self._members[rule.name]

    def ladder_of(self, rule: Rule) -> str | None:
        """The ladder that its alert climbs."""
        return self._ladders[rule.name]

    def owns_ladder(self, rule: str, recipient: str) -> bool:
        """Whether a subscriber is told with the audience whose ladder a rule begins: it may say that all is in hand."""
        told = next((one.tell for one in self.rules if one.name == rule), ())
        owners = (self.audiences[name] for name in told if name in self.audiences and self.audiences[name].ladder)
        is_person = recipient.startswith("person.")
        return any(
            member.subscriber == recipient or (is_person and member.kind in ("duty", "person"))
            for owner in owners
            for member in owner.members
        )

    @cached_property
    def _members(self) -> Mapping[str, tuple[Member, ...]]:
        return {rule.name: tuple(self._told(rule)) for rule in self.rules}

    @cached_property
    def _ladders(self) -> Mapping[str, str | None]:
        return {rule.name: next(self._climbed(rule), None) for rule in self.rules}

    def _climbed(self, rule: Rule) -> Iterator[str]:
        for name in rule.tell:
            if (audience := self.audiences.get(name)) and audience.ladder:
                yield audience.ladder

    def _told(self, rule: Rule) -> Iterator[Member]:
        told: set[str] = set()
        for name in rule.tell:
            audience = self.audiences.get(name)
            for member in audience.members if audience else (Member(subscriber=name),):
                if member.key not in told:
                    told.add(member.key)
                    yield member

    def _passed(self, left: timedelta | None) -> int:
        """How many of the spans that rules ask for are not reached; more of them cannot be told apart."""
        return len(self._spans) if left is None else bisect_right(self._spans, left)

    @cached_property
    def _spans(self) -> Sequence[timedelta]:
        return sorted({rule.headroom_under for rule in self.rules if rule.headroom_under is not None})

    @cached_property
    def _looked_at(self) -> Sequence[str]:
        return [fact for fact in FACTS if any(fact in rule.when for rule in self.rules)]

    @cached_property
    def _kept_by(self) -> Sequence[str]:
        return sorted({fact for one in self.kept for fact in one.when})

    @cached_property
    def _is_kept(self) -> Callable[[tuple[str | None, ...]], bool]:
        @lru_cache(maxsize=8_192)
        def is_kept(values: tuple[str | None, ...]) -> bool:
            facts = {name: value for name, value in zip(self._kept_by, values, strict=True) if value is not None}
            return never_held.is_never_held(facts, self.kept)

        return is_kept

    @cached_property
    def _chosen(self) -> Callable[[tuple[str | None, ...], int], Sequence[Rule]]:
        """Facts are closed lists, so few combinations come again and again."""
        return lru_cache(maxsize=8_192)(self._choose)

    def _choose(self, values: tuple[str | None, ...], passed: int) -> Sequence[Rule]:
        facts = {name: value for name, value in zip(self._looked_at, values, strict=True) if value is not None}
        chosen = []
        for rule in self.rules:
            if rule.matches(facts) and (rule.headroom_under is None or rule.headroom_under in self._spans[passed:]):
                chosen.append(rule)
                if not rule.then_continue:
                    break
        return chosen
