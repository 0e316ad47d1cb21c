"""The alert rules: a table in `alerts.yaml`, checked whole at the start, matched by one pure function."""

import string
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from pydantic import Field

from shared.clocks import DUE
from shared.events import KINDS, TYPES
from shared.law.competence import Law
from shared.life_cycle import LifeCycle
from shared.partners import Partners
from shared.states import STATES
from shared.vocabulary import DESK, Direction, Lane, Urgency
from shared.yaml_file import Id, Place, Strict, Words, YamlFile, did_you_mean, quoted, read_yaml

FACTS = (
    "event",
    "type",
    "authority",
    "status",
    "lane",
    "urgency",
    "direction",
    "party",
    "clock",
    "clock_kind",
    "step",
    "kind",
    "service",
)
"""What a rule may look at, and a notice may say: closed lists and ids, no personal data."""


SERVICES = ("intake", "router", "notifier")


class Rule(Strict):
    """One row: which facts it matches, whom it tells, and in what words."""

    name: Id
    when: Mapping[str, tuple[Words, ...]] = Field(default_factory=dict)
    tell: tuple[Id, ...]
    says: Words
    then_continue: bool = False

    def matches(self, facts: Mapping[str, str]) -> bool:
        """Whether every fact that the rule names has one of its values."""
        return all(facts.get(name) in accepted for name, accepted in self.when.items())


class _Text(Strict):
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class AlertRules:
    """The rules in their order."""

    rules: tuple[Rule, ...]

    def choose(self, facts: Mapping[str, str]) -> Sequence[Rule]:
        """The rules that fire, in order: the first match wins unless it says `then_continue`."""
        return self._chosen(tuple(facts.get(name) for name in FACTS))

    @cached_property
    def _chosen(self) -> Callable[[tuple[str | None, ...]], Sequence[Rule]]:
        """Facts are closed lists, so few combinations come again and again."""
        return lru_cache(maxsize=8_192)(self._choose)

    def _choose(self, values: tuple[str | None, ...]) -> Sequence[Rule]:
        facts = {name: value for name, value in zip(FACTS, values, strict=True) if value is not None}
        chosen = []
        for rule in self.rules:
            if rule.matches(facts):
                chosen.append(rule)
                if not rule.then_continue:
                    break
        return chosen


def load_rules(path: Path, partners: Partners, law: Law, life: LifeCycle) -> AlertRules:
    """The rules of a file; raises `BadStart` for an unknown word in it, or where the last rule is not for all."""
    file = read_yaml(path)
    text = file.typed(_Text)
    if not text.rules or text.rules[-1].when or text.rules[-1].then_continue:
        last: Place = ("rules", len(text.rules) - 1) if text.rules else ("rules",)
        raise file.bad(last, "the last rule must catch all: it has no 'when' and does not continue")
    names: set[str] = set()
    for number, rule in enumerate(text.rules):
        _check(file, ("rules", number), rule, names, partners.subscribers)
        _check_values(file, ("rules", number, "when"), rule, _values(law, life))
        names.add(rule.name)
    return AlertRules(text.rules)


def _values(law: Law, life: LifeCycle) -> Mapping[str, Collection[str]]:
    """What each fact can be: a rule that waits for anything else would never fire, and nobody would know."""
    clocks = law.text.clocks.values()
    return {
        "event": TYPES,
        "type": law.request_types,
        "authority": (*law.authorities, DESK),
        "lane": [*Lane],
        "urgency": [*Urgency],
        "direction": [*Direction],
        "party": STATES,
        "status": life.statuses,
        "clock": law.text.clocks,
        "clock_kind": {clock.kind for clock in clocks},
        "step": {DUE, *(warn for clock in clocks for span in clock.versions for warn in span.warn)},
        "kind": KINDS,
        "service": SERVICES,
    }


def _check_values(file: YamlFile, place: Place, rule: Rule, known: Mapping[str, Collection[str]]) -> None:
    for fact, accepted in rule.when.items():
        for value in accepted:
            if value not in known[fact]:
                hint = did_you_mean(value, known[fact])
                raise file.bad((*place, fact), f"{quoted(value)} is no {fact} that there can be{hint}")


def _check(file: YamlFile, place: Place, rule: Rule, names: set[str], subscribers: Collection[str]) -> None:
    if rule.name in names:
        raise file.bad((*place, "name"), f"{quoted(rule.name)} is the name of an earlier rule")
    for fact in rule.when:
        if fact not in FACTS:
            raise file.bad((*place, "when", fact), f"{quoted(fact)} is no fact{did_you_mean(fact, FACTS)}")
    for recipient in rule.tell:
        if recipient not in subscribers:
            hint = did_you_mean(recipient, subscribers)
            raise file.bad((*place, "tell"), f"{quoted(recipient)} is no subscriber of the partners file{hint}")
    try:
        used = [(fact, form, how) for _, fact, form, how in string.Formatter().parse(rule.says) if fact is not None]
    except ValueError:
        raise file.bad((*place, "says"), "the braces do not pair") from None
    for fact, form, how in used:
        if fact not in FACTS:
            raise file.bad((*place, "says"), f"{quoted(fact)} is no fact{did_you_mean(fact, FACTS)}")
        if form or how:
            raise file.bad((*place, "says"), f"a fact stands in braces as it is, like {{{fact}}}")
