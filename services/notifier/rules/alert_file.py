"""`alerts.yaml` is read and checked whole: a wrong word in it stops the start with its line and one plain sentence."""

import string
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field

from services.notifier.domain.facts import FACTS, TOLD
from services.notifier.duty.roster import Roster
from services.notifier.rules import never_held
from services.notifier.rules.alert_rules import AlertRules, Kept, Rule
from services.notifier.rules.alert_warnings import people_of, warnings_about
from services.notifier.rules.fact_values import FactValues, fact_values
from services.notifier.rules.members import FOR_PEOPLE, Audience, Ladder, Member
from services.notifier.rules.never_held import Matcher
from shared.events import CASE_ASSIGNED, CASE_CLOCK_WARNED
from shared.law import Law
from shared.life_cycle import LifeCycle
from shared.partners import Partners
from shared.yaml_file import Id, Place, Strict, YamlFile, did_you_mean, quoted, read_yaml

ARREST = "arrest"
"""The cycle, in the law file, of types by which a person is held for a while."""


MOST_EVENTS = 900
"""Of one ladder, below what a record holds (`shared.records.MAX_RECORD_EVENTS`)."""


class AlertsText(Strict):
    """A whole alerts file."""

    audiences: Mapping[Id, Audience] = Field(default_factory=dict)
    ladders: Mapping[Id, Ladder] = Field(default_factory=dict)
    never_held: tuple[Kept, ...] = ()
    rules: tuple[Rule, ...]


def load_rules(path: Path, partners: Partners, law: Law, life: LifeCycle, roster: Roster) -> AlertRules:
    """The rules of a file; raises `BadStart` with one line for every fault of it."""
    file = read_yaml(path)
    text = file.typed(AlertsText)
    checks = _Checks(file, text, partners.subscribers, roster, fact_values(law, life, roster.rotas))
    checks.ladders()
    checks.audiences()
    for number, one in enumerate(text.never_held):
        checks.when(("never_held", number, "when"), one.when)
    checks.rules()
    arrests = [name for name, kind in law.text.request_types.items() if kind.cycle == ARREST]
    kept = (*never_held.of_law(arrests), *(one.matcher for one in text.never_held))
    checks.somebody_hears(kept)
    if checks.faults:
        raise file.all_bad(checks.faults)
    rules = AlertRules(text.rules, text.audiences, text.ladders, kept, checks.values)
    return replace(rules, warnings=warnings_about(file, rules, roster))


@dataclass(frozen=True)
class _Checks:
    """The checks that look beyond one row; what they find stands in `faults`."""

    file: YamlFile
    text: AlertsText
    subscribers: Collection[str]
    roster: Roster
    values: FactValues
    faults: list[tuple[Place, str]] = field(default_factory=list)

    def ladders(self) -> None:
        """The first step at once, each later than the one before."""
        for name, ladder in self.text.ladders.items():
            before = None
            for number, step in enumerate(ladder.steps):
                place: Place = ("ladders", name, "steps", number)
                if before is None and step.after:
                    self.bad((*place, "after"), "the first step is taken at once: after 0 minutes")
                if before is not None and step.after <= before:
                    self.bad((*place, "after"), "this step does not come after the one before it")
                before = step.after
                self.members((*place, "tell"), step.tell)
            # In each round an acknowledgement, and every step taken and told.
            if ladder.rounds * (2 * len(ladder.steps) + 1) > MOST_EVENTS:
                most = MOST_EVENTS // (2 * len(ladder.steps) + 1)
                self.bad(("ladders", name, "rounds"), f"a ladder of so many steps has at most {most} rounds")

    def audiences(self) -> None:
        """Names that mean one thing, somebody in each, known members and ladders."""
        for name, audience in self.text.audiences.items():
            place: Place = ("audiences", name)
            if name in self.subscribers:
                self.bad(place, f"{quoted(name)} is a subscriber of the partners file already")
            if not audience.members and audience.ladder is None:
                self.bad(place, f"nobody is in the audience {quoted(name)}: it has neither members nor a ladder")
            if audience.ladder is not None:
                self._known((*place, "ladder"), audience.ladder, self.text.ladders, "ladder in this file")
            self.members((*place, "members"), audience.members)

    def members(self, place: Place, members: Sequence[Member]) -> None:
        """Each is there, is told in a way in which it can be, and stands once."""
        taken: set[str] = set()
        for number, member in enumerate(members):
            where = (*place, number)
            if member.key in taken:
                self.bad(where, f"{quoted(member.name)} is told here already")
            taken.add(member.key)
            if member.subscriber is not None:
                self._known((*where, "subscriber"), member.name, self.subscribers, "subscriber of the partners file")
                continue
            known, what = (self.roster.rotas, "rota") if member.kind == "duty" else (self.roster.people, "person")
            if member.kind in FOR_PEOPLE and self._known(
                (*where, member.kind), member.name, known, f"{what} of the roster"
            ):
                self._reached(where, member)

    def _reached(self, place: Place, member: Member) -> None:
        """No channel on which none of its people has a contact, and nobody who has one on none of the channels."""
        people = people_of(member, self.roster)
        for channel in member.by:
            if not any(channel in person.contacts for person in people):
                self.bad((*place, "by"), f"nobody of {quoted(member.name)} has a contact for {channel}")
        for person in people:
            if not person.contacts.keys() & {*member.by}:
                said = f"{quoted(person.id)} has no contact for {' or '.join(member.by)} in the roster"
                self.bad((*place, "by"), said)

    def rules(self) -> None:
        """Names once, known words, and the last for all."""
        rules = self.text.rules
        if not rules or rules[-1].when or rules[-1].then_continue or rules[-1].headroom_under:
            last: Place = ("rules", len(rules) - 1) if rules else ("rules",)
            self.bad(last, "the last rule must catch all: it has no 'when' and does not continue")
        names: set[str] = set()
        for number, rule in enumerate(rules):
            self.rule(("rules", number), rule, names)
            names.add(rule.name)

    def rule(self, place: Place, rule: Rule, names: Collection[str]) -> None:
        """One row of the table."""
        if rule.name in names:
            self.bad((*place, "name"), f"{quoted(rule.name)} is the name of an earlier rule")
        self.when((*place, "when"), rule.when)
        if rule.headroom_under and {*rule.when.get("event", ())} != {CASE_CLOCK_WARNED}:
            said = f"'headroom_under' is for {CASE_CLOCK_WARNED} alone: nothing else is about a clock that still runs"
            self.bad((*place, "headroom_under"), said)
        self.tell((*place, "tell"), rule.tell)
        for language, sentence in rule.says.items():
            for said in _wrong_in(sentence):
                self.bad((*place, "says", language), said)

    def when(self, place: Place, when: Mapping[str, Sequence[str]]) -> None:
        """Facts that there are, with values that there can be."""
        for fact, values in when.items():
            if not values:
                self.bad((*place, fact), f"{quoted(fact)} has no value here, so nothing would match")
            if said := self.values.wrong_with(fact, values):
                self.bad((*place, fact), said)

    def tell(self, place: Place, names: Sequence[str]) -> None:
        """Audiences and subscribers, each once, with one ladder at most."""
        climbed: str | None = None
        for number, name in enumerate(names):
            known = (*self.text.audiences, *self.subscribers)
            self._known((*place, number), name, known, "audience of this file and no subscriber of the partners file")
            if name in names[:number]:
                self.bad((*place, number), f"{quoted(name)} is told twice")
                continue
            ladder = self.text.audiences[name].ladder if name in self.text.audiences else None
            if ladder and climbed:
                said = f"{quoted(name)} and {quoted(climbed)} both have a ladder: an alert climbs one"
                self.bad((*place, number), said)
            climbed = name if ladder else climbed

    def bad(self, place: Place, sentence: str) -> None:
        """One fault more."""
        self.faults.append((place, sentence))

    def _known(self, place: Place, word: str, known: Collection[str], what: str) -> bool:
        if word not in known:
            self.bad(place, f"{quoted(word)} is no {what}{did_you_mean(word, known)}")
        return word in known

    def somebody_hears(self, kept: Sequence[Matcher]) -> None:
        """A mistake in the file must not hide what nothing may hold back: no rule on its way may tell nobody."""
        for one in kept:
            given = {"event": frozenset({CASE_ASSIGNED}), **one.when}
            for number, rule in enumerate(self.text.rules):
                meets = all(fact not in given or given[fact] & {*values} for fact, values in rule.when.items())
                if meets and not rule.tell:
                    said = f"tells nobody of {one.says}, which nothing may hold back"
                    self.bad(("rules", number, "tell"), said)
                covers = all(fact in given and given[fact] <= {*values} for fact, values in rule.when.items())
                if covers and rule.headroom_under is None:
                    break


def _wrong_in(sentence: str) -> Iterator[str]:
    """What stands in braces and is no fact."""
    try:
        used = [(fact, form, how) for _, fact, form, how in string.Formatter().parse(sentence) if fact is not None]
    except ValueError:
        yield "the braces do not pair"
        return
    for fact, form, how in used:
        if fact not in (*FACTS, *TOLD):
            yield f"{quoted(fact)} is no fact{did_you_mean(fact, FACTS)}"
        if form or how:
            yield f"a fact stands in braces as it is, like {{{fact}}}"
