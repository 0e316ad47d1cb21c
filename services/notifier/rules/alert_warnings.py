"""What an alerts file says that is no mistake for sure, and that whoever wrote it should look at again."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from services.notifier.channels import WAKES
from services.notifier.duty.roster import Person, Roster
from services.notifier.rules.alert_rules import AlertRules, Rule
from services.notifier.rules.members import FOR_PEOPLE, Audience, Member
from shared.partners import NoticeChannel
from shared.yaml_file import Place, YamlFile, quoted


def warnings_about(file: YamlFile, rules: AlertRules, roster: Roster) -> tuple[str, ...]:
    """The warnings, each with its line."""
    found = [
        *_asleep(rules, roster),
        *_unused(rules),
        *_never_reached(file, rules),
        *_told_twice(rules),
        *_in_a_row(rules, roster),
    ]
    return tuple(str(file.bad(place, sentence)) for place, sentence in found)


def _asleep(rules: AlertRules, roster: Roster) -> Iterator[tuple[Place, str]]:
    """An audience that is to wake somebody and has nothing that rings."""
    for name, audience in rules.audiences.items():
        if not audience.wakes:
            continue
        ringing = [member for member in _at_once(rules, audience) if WAKES & {*member.by}]
        if not ringing:
            ways = " or ".join(sorted(WAKES))
            yield ("audiences", name), f"{quoted(name)} is to wake somebody, and tells nobody at once by {ways}"
        sleeping = {
            one.id for member in ringing for one in people_of(member, roster) if not WAKES & one.contacts.keys()
        }
        for person in sorted(sleeping):
            said = f"{quoted(name)} is to wake {quoted(person)}, who has no contact in the roster that rings"
            yield ("audiences", name), said


def _at_once(rules: AlertRules, audience: Audience) -> tuple[Member, ...]:
    ladder = rules.ladders[audience.ladder] if audience.ladder else None
    return (*audience.members, *(ladder.steps[0].tell if ladder else ()))


def people_of(member: Member, roster: Roster) -> list[Person]:
    """Everybody whom a person or a rota can mean, the stand-in too."""
    if member.person is not None:
        return [roster.people[member.person]]
    if member.duty is None:
        return []
    rota = roster.rotas[member.duty]
    spans = (*rota.instead, *rota.shifts, *rota.holidays)
    people = (rota.stand_in, *(span.person for span in spans), *(one for turns in rota.patterns for one in turns.order))
    return list({person.id: person for person in people}.values())


def _unused(rules: AlertRules) -> Iterator[tuple[Place, str]]:
    told = {name for rule in rules.rules for name in rule.tell}
    climbed = {audience.ladder for audience in rules.audiences.values()}
    for name in rules.audiences:
        if name not in told:
            yield ("audiences", name), f"no rule tells the audience {quoted(name)}"
    for name in rules.ladders:
        if name not in climbed:
            yield ("ladders", name), f"no audience has the ladder {quoted(name)}"


def _never_reached(file: YamlFile, rules: AlertRules) -> Iterator[tuple[Place, str]]:
    """A rule that an earlier one leaves nothing for."""
    for number, rule in enumerate(rules.rules):
        for before, earlier in enumerate(rules.rules[:number]):
            if _covers(earlier, rule):
                line = file.lines[("rules", before)]
                said = (
                    f"{quoted(rule.name)} never fires: {quoted(earlier.name)} on line {line} takes all that it matches"
                )
                yield ("rules", number), said
                break


def _covers(earlier: Rule, rule: Rule) -> bool:
    spans = earlier.headroom_under, rule.headroom_under
    if earlier.then_continue or (spans[0] and not (spans[1] and spans[1] <= spans[0])):
        return False
    return all(fact in rule.when and {*rule.when[fact]} <= {*values} for fact, values in earlier.when.items())


def _told_twice(rules: AlertRules) -> Iterator[tuple[Place, str]]:
    """Somebody in two audiences of one rule is told as the first of them says."""
    for number, rule in enumerate(rules.rules):
        seen: dict[str, str] = {}
        for name in rule.tell:
            for member in rules.audiences[name].members if name in rules.audiences else (Member(subscriber=name),):
                if (first := seen.setdefault(member.key, name)) != name:
                    said = f"{quoted(member.name)} is told by {quoted(first)} and by {quoted(name)}: the first counts"
                    yield ("rules", number, "tell"), said


def _in_a_row(rules: AlertRules, roster: Roster) -> Iterator[tuple[Place, str]]:
    """A step of a ladder that tells whom the one before told, by the same channel: nobody new, and in no other way.

    What an audience tells at once comes together with the first step of its ladder.
    """
    for name, audience in rules.audiences.items():
        if audience.ladder:
            at_once = rules.ladders[audience.ladder].steps[0].tell
            for number, member, channel in _again(audience.members, at_once, roster):
                said = f"{quoted(member.name)} is told by {channel} at once by the ladder {quoted(audience.ladder)} too"
                yield ("audiences", name, "members", number), said
    for name, ladder in rules.ladders.items():
        for step, (before, after) in enumerate(pairwise(ladder.steps), 1):
            for number, member, channel in _again(after.tell, before.tell, roster):
                said = f"{quoted(member.name)} is told by {channel} on the step before too"
                place: Place = ("ladders", name, "steps", step, "tell", number)
                yield place, f"{said}: tell somebody else, or in another way"


def _again(
    members: Sequence[Member], told: Sequence[Member], roster: Roster
) -> Iterator[tuple[int, Member, NoticeChannel]]:
    """Those of the members, each with its place, whom others tell by the channel that is tried first."""
    before = {(_who(member, roster), member.by[0]) for member in told if member.by}
    for number, member in enumerate(members):
        if member.kind in FOR_PEOPLE and (_who(member, roster), member.by[0]) in before:
            yield number, member, member.by[0]


def _who(member: Member, roster: Roster) -> str:
    """The same for the same duty, and for the same person, also where a duty is always theirs."""
    people = people_of(member, roster)
    return f"person.{people[0].id}" if len(people) == 1 else member.key
