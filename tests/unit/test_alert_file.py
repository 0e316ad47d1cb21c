"""An alerts file is checked whole: each fault with its line and one sentence, each doubt as a warning."""

from pathlib import Path

import pytest

from services.notifier.duty.roster import Roster, load_roster
from services.notifier.rules.alert_rules import AlertRules
from shared.failures import BadStart
from tests.unit.alerts import loaded

GOOD = """\
audiences:
  night:
    title: Whoever is asleep
    wakes: true
    members: [{subscriber: duty-officers}]
    ladder: up
  day:
    title: Whoever reads
    members: [{person: bob, by: [email], group: 5 minutes, rate: 10, quiet: {from: "22:00", until: "07:00"}}]
ladders:
  up:
    steps:
      - {after: 0 minutes, tell: [{duty: desk, by: [apprise, email], patience: 90 seconds}]}
      - {after: 10 minutes, tell: [{person: bob, by: [email]}]}
    again: 1 hour
    remind_after: 2 hours
never_held:
  - {says: a breach, when: {event: [case.confidentiality_breached]}}
rules:
  - {name: urgent, when: {lane: [urgent]}, tell: [night, operations], says: "{type} from {party}"}
  - {name: near, when: {event: [case.clock_warned]}, headroom_under: 4 hours, tell: [day],
     says: {en: "{clock}", fr: "Délai {clock}"}}
  - {name: pager, when: {event: [alert.raised], kind: [technical], alertname: [Kafka-Lag], rota: [desk]}, tell: [day],
     says: "!"}
  - {name: rest, tell: [operations], says: "{type}"}
"""
ROSTER = """\
zone: Asia/Baku
people:
  ann: {name: Ann, language: en, contacts: {email: ann@example.org, apprise: "jsons://p.example.org/ann"}}
  bob: {name: Bob, language: az, contacts: {email: bob@example.org}}
  cem: {name: Cem, language: az, contacts: {apprise: "jsons://p.example.org/cem"}}
rotas:
  desk: {title: Desk, stand_in: ann, turns: [{start: 2026-01-05, hand_over: ["08:00"], order: [ann]}]}
  mail: {title: Mail, stand_in: bob, turns: [{start: 2026-01-05, hand_over: ["08:00"], order: [bob]}]}
  both: {title: Both, stand_in: ann, turns: [{start: 2026-01-05, hand_over: ["08:00"], order: [ann, bob]}]}
"""
NOBODY = "is no audience of this file and no subscriber of the partners file"
REFUSED = {
    # The table of rules, as before there were audiences.
    "no rules": (GOOD[GOOD.index("rules:\n") :], "rules: []\n", 19, "the last rule must catch all: it has no 'when'"),
    "a last rule with a condition": ("name: rest,", "name: rest, when: {lane: [normal]},", 25, "the last rule must"),
    "a last rule that continues": ("name: rest,", "name: rest, then_continue: true,", 25, "the last rule must"),
    "a name twice": ("name: rest", "name: urgent", 25, "'urgent' is the name of an earlier rule"),
    "an unknown fact": ("when: {lane:", "when: {lanes:", 20, "'lanes' is no fact; did you mean 'lane'?"),
    "a value that cannot be": (
        "[urgent]",
        "[urgnt]",
        20,
        "'urgnt' is no lane that there can be; did you mean 'urgent'?",
    ),
    "no value": ("[urgent]", "[]", 20, "'lane' has no value here, so nothing would match"),
    "an event that we do not hear": ("[case.clock_warned]", "[answer.status]", 21, "'answer.status' is no event"),
    "an alert's name that is none": (
        "[Kafka-Lag]",
        '["Kafka Lag"]',
        23,
        "'Kafka Lag' is no alertname that there can be",
    ),
    "a rota that is none": (
        "rota: [desk]",
        "rota: [desk2]",
        23,
        "'desk2' is no rota that there can be; did you mean 'desk'?",
    ),
    "an unknown fact in the words": ("{party}", "{partie}", 20, "'partie' is no fact; did you mean 'party'?"),
    "no fact in the words": ("{party}", "{}", 20, "'' is no fact"),
    "more than a fact in the words": ("{party}", "{party.__class__}", 20, "'party.__class__' is no fact"),
    "a brace too few": ("{party}", "{party", 20, "the braces do not pair"),
    "a form that text does not have": ("{party}", "{party:d}", 20, "a fact stands in braces as it is, like {party}"),
    "a conversion that there is not": ("{party}", "{party!z}", 20, "a fact stands in braces as it is, like {party}"),
    "an unknown key": (
        "tell: [operations],",
        "tells: [operations],",
        25,
        "'tells' is not a key here; did you mean 'tell'?",
    ),
    # Whom a rule tells.
    "nobody of that name": (
        "[night, operations]",
        "[nihgt, operations]",
        20,
        f"'nihgt' {NOBODY}; did you mean 'night'?",
    ),
    "a subscriber that is none": (
        "tell: [operations],",
        "tell: [operation],",
        25,
        f"'operation' {NOBODY}; did you mean",
    ),
    "somebody twice": ("[night, operations]", "[night, night]", 20, "'night' is told twice"),
    "two ladders": (
        "[night, operations]",
        "[night, day]",
        20,
        "'day' and 'night' both have a ladder: an alert climbs one",
    ),
    "headroom without a clock": (
        "[case.clock_warned]",
        "[case.closed]",
        21,
        "'headroom_under' is for case.clock_warned alone",
    ),
    "headroom of the last rule": (
        "name: rest,",
        "name: rest, headroom_under: 1 hour,",
        25,
        "the last rule must catch all",
    ),
    "no headroom": ("under: 4 hours", "under: 0 hours", 21, "a time span of nothing says nothing here: leave it out"),
    # What it says.
    "another language": ("fr: ", "de: ", 22, "'de' is no language here (use en, az, ru, fr)"),
    "no English": ('{en: "{clock}", ', "{", 22, "the English sentence (en) is missing"),
    "a fact that is none in French": ("Délai {clock}", "Délai {horloge}", 22, "'horloge' is no fact"),
    "nothing said": ('en: "{clock}"', 'en: " "', 22, "'en' must not be empty"),
    # Audiences.
    "a subscriber's name": (
        "  day:\n",
        "  operations:\n",
        7,
        "'operations' is a subscriber of the partners file already",
    ),
    "nobody in it": (
        'members: [{person: bob, by: [email], group: 5 minutes, rate: 10, quiet: {from: "22:00", until: "07:00"}}]',
        "members: []",
        7,
        "nobody is in the audience 'day': it has neither members nor a ladder",
    ),
    "an unknown ladder": ("ladder: up", "ladder: upp", 6, "'upp' is no ladder in this file; did you mean 'up'?"),
    "an unknown subscriber": (
        "duty-officers",
        "duty-officer",
        5,
        "'duty-officer' is no subscriber of the partners file; did",
    ),
    "an unknown rota": ("duty: desk", "duty: deks", 13, "'deks' is no rota of the roster; did you mean 'desk'?"),
    "an unknown person": (
        "{person: bob, by: [email]}",
        "{person: bo, by: [email]}",
        14,
        "'bo' is no person of the roster",
    ),
    "a channel that is none": ("[apprise, email]", "[sms, email]", 13, "'by' cannot be 'sms'"),
    "a channel for systems": (
        "[apprise, email]",
        "[webhook, email]",
        13,
        "a duty cannot be told by webhook, only by email, apprise",
    ),
    "a member who is two": (
        "{duty: desk,",
        "{duty: desk, person: bob,",
        13,
        "a member is exactly one of subscriber, duty,",
    ),
    "a member who is nobody": ("[{subscriber: duty-officers}]", "[{by: [email]}]", 5, "a member is exactly one of"),
    "a member twice": (
        "[{subscriber: duty-officers}]",
        "[{subscriber: duty-officers}, {subscriber: duty-officers}]",
        5,
        "'duty-officers' is told here already",
    ),
    "nobody has that contact": (
        "{duty: desk, by: [apprise, email], patience: 90 seconds}",
        "{duty: mail, by: [email, apprise]}",
        13,
        "nobody of 'mail' has a contact for apprise",
    ),
    "somebody has no such contact": (
        "{duty: desk, by: [apprise, email], patience: 90 seconds}",
        "{duty: both, by: [apprise]}",
        13,
        "'bob' has no contact for apprise in the roster",
    ),
    "quiet hours that are none": ('"07:00"', '"7"', 9, "'7' is no time of day (write 22:00)"),
    "quiet for ever": ('"07:00"', '"22:00"', 9, "quiet hours begin and end at the same time"),
    "no rate": ("rate: 10", "rate: 0", 9, "'rate': input should be greater than or equal to 1"),
    "a span in other words": ("group: 5 minutes", "group: 5m", 9, "'5m' is no time span (write 30 minutes)"),
    # Ladders.
    "no steps": (
        GOOD[GOOD.index("    steps:") : GOOD.index("    again")],
        "    steps: []\n",
        12,
        "'steps' must not be empty",
    ),
    "a first step that waits": ("after: 0 minutes", "after: 1 minutes", 13, "the first step is taken at once: after 0"),
    "steps that do not rise": (
        "after: 10 minutes",
        "after: 0 minutes",
        14,
        "this step does not come after the one before",
    ),
    "a step that tells nobody": ("tell: [{person: bob, by: [email]}]", "tell: []", 14, "'tell' must not be empty"),
    "rounds without end": ("again: 1 hour", "rounds: 1001", 15, "'rounds': input should be less than or equal to 1000"),
    # What it adds to what nothing holds back.
    "added by an unknown fact": (
        "[case.confidentiality_breached]",
        "[case.breached]",
        18,
        "'case.breached' is no event",
    ),
    "everything added": ("{event: [case.confidentiality_breached]}", "{}", 18, "'when'"),
}


ALSO = {"an event that we do not hear": 1, "headroom of the last rule": 1, "a subscriber's name": 2}
"""How much else is wrong then."""


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    path = tmp_path / "roster.yaml"
    path.write_text(ROSTER)
    return load_roster(path)


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    text = GOOD
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "alerts.yaml"
    path.write_text(text)
    return path


def read(folder: Path, roster: Roster, *changes: tuple[str, str]) -> AlertRules:
    return loaded(changed(folder, *changes), roster)


def test_a_good_file_is_read(tmp_path: Path, roster: Roster) -> None:
    rules = read(tmp_path, roster)

    assert [rule.name for rule in rules.rules] == ["urgent", "near", "pager", "rest"]
    assert rules.rules[0].when == {"lane": ("urgent",)}
    assert rules.rules[0].says == {"en": "{type} from {party}"}
    assert [member.key for member in rules.members(rules.rules[0])] == ["duty-officers", "operations"]
    assert [step.tell[0].key for step in rules.ladders["up"].steps] == ["duty.desk", "person.bob"]
    assert [one.says for one in rules.kept][-1] == "a breach"
    assert rules.warnings == ()


def test_a_file_of_rules_alone_is_read_as_before(tmp_path: Path, roster: Roster) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text('rules: [{name: rest, tell: [operations], says: "{type}"}]')

    rules = loaded(path, roster)

    assert [member.key for member in rules.members(rules.rules[0])] == ["operations"]
    assert (dict(rules.audiences), dict(rules.ladders)) == ({}, {})


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_file_stops_the_start_with_file_and_line(case: str, tmp_path: Path, roster: Roster) -> None:
    old, new, line, sentence = REFUSED[case]
    more = [("title: Whoever reads\n", "title: Whoever reads\n    ladder: up\n")] if case == "two ladders" else []
    path = changed(tmp_path, (old, new), *more)

    with pytest.raises(BadStart) as refusal:
        loaded(path, roster)

    first, *others = str(refusal.value).splitlines()
    assert first.startswith(f"{path}:{line + len(more)}: {sentence}")
    assert len(others) == ALSO.get(case, 0)
    assert "example.org" not in str(refusal.value)


def test_every_fault_of_a_file_is_said_at_once(tmp_path: Path, roster: Roster) -> None:
    path = changed(
        tmp_path,
        ("ladder: up", "ladder: upp"),
        ("duty: desk", "duty: deks"),
        ("after: 10 minutes", "after: 0 minutes"),
        ("[night, operations]", "[nihgt, operations]"),
        ("{party}", "{partie}"),
    )

    with pytest.raises(BadStart) as refusal:
        loaded(path, roster)

    assert str(refusal.value).splitlines() == [
        f"{path}:6: 'upp' is no ladder in this file; did you mean 'up'?",
        f"{path}:13: 'deks' is no rota of the roster; did you mean 'desk'?",
        f"{path}:14: this step does not come after the one before it",
        f"{path}:20: 'nihgt' {NOBODY}; did you mean 'night'?",
        f"{path}:20: 'partie' is no fact; did you mean 'party'?",
    ]


DESK = "{duty: desk, by: [apprise, email], patience: 90 seconds}"
REST = "  - {name: rest,"
WARNED = {
    "nothing that rings": (
        (DESK, "{duty: desk, by: [email]}"),
        2,
        "'night' is to wake somebody, and tells nobody at once by apprise",
    ),
    "somebody whom nothing rings": (
        (DESK, "{duty: both, by: [apprise, email]}"),
        2,
        "'night' is to wake 'bob', who has no contact in the roster that rings",
    ),
    "a ladder that nobody climbs": (
        ("    members: [{subscriber: duty-officers}]\n    ladder: up\n", f"    members: [{DESK}]\n"),
        10,
        "no audience has the ladder 'up'",
    ),
    "an audience that nobody tells": (("[night, operations]", "[operations]"), 2, "no rule tells the audience 'night'"),
    "a rule that comes too late": (
        (REST, '  - {name: late, when: {lane: [urgent], party: [FR]}, tell: [operations], says: "!"}\n' + REST),
        25,
        "'late' never fires: 'urgent' on line 20 takes all that it matches",
    ),
    "a duty told twice in a row": (
        (
            "{after: 10 minutes, tell: [{person: bob, by: [email]}]}",
            "{after: 1 minutes, tell: [{duty: desk, by: [apprise]}]}",
        ),
        14,
        "'desk' is told by apprise on the step before too: tell somebody else, or in another way",
    ),
    "a person told by duty and by name": (
        (
            "{after: 10 minutes, tell: [{person: bob, by: [email]}]}",
            "{after: 1 minutes, tell: [{person: ann, by: [apprise]}]}",
        ),
        14,
        "'ann' is told by apprise on the step before too: tell somebody else, or in another way",
    ),
    "a duty told at once by its audience and the ladder": (
        (
            "members: [{subscriber: duty-officers}]",
            "members: [{subscriber: duty-officers}, {duty: desk, by: [apprise]}]",
        ),
        5,
        "'desk' is told by apprise at once by the ladder 'up' too",
    ),
    "somebody told by two audiences": (
        ("[night, operations]", "[night, duty-officers]"),
        20,
        "'duty-officers' is told by 'night' and by 'duty-officers': the first counts",
    ),
}


@pytest.mark.parametrize("case", WARNED)
def test_what_looks_like_a_mistake_is_a_warning(case: str, tmp_path: Path, roster: Roster) -> None:
    change, line, sentence = WARNED[case]

    rules = read(tmp_path, roster, change)

    assert f"{tmp_path / 'alerts.yaml'}:{line}: {sentence}" in rules.warnings


@pytest.mark.parametrize(
    "next_step",
    ["{duty: desk, by: [email]}", "{duty: both, by: [apprise, email]}", "{person: ann, by: [email, apprise]}"],
    ids=["in another way", "another duty", "first in another way"],
)
def test_a_step_that_tells_somebody_else_or_otherwise_is_no_mistake(
    next_step: str, tmp_path: Path, roster: Roster
) -> None:
    assert read(tmp_path, roster, ("[{person: bob, by: [email]}]", f"[{next_step}]")).warnings == ()


def test_a_rule_that_comes_after_one_with_less_headroom_or_that_continues_still_fires(
    tmp_path: Path, roster: Roster
) -> None:
    after = '  - {name: after, when: {event: [case.clock_warned]}, tell: [operations], says: "!"}\n' + REST
    continues = (
        "{name: urgent, when: {lane: [urgent]},",
        "{name: urgent, then_continue: true, when: {lane: [urgent]},",
    )
    again = '  - {name: late, when: {lane: [urgent]}, tell: [operations], says: "!"}\n' + after

    assert read(tmp_path, roster, (REST, again), continues).warnings == ()


HIDES = {
    "an emergency": '  - {name: hides, when: {urgency: [emergency]}, tell: [], says: "!"}\n',
    "a missed clock": '  - {name: hides, when: {event: [case.clock_missed]}, tell: [], says: "!"}\n',
    "alerts of our own": '  - {name: hides, when: {event: [alert.raised]}, tell: [], says: "!"}\n',
}


@pytest.mark.parametrize("says", HIDES)
def test_no_rule_may_tell_nobody_of_what_nothing_holds_back(says: str, tmp_path: Path, roster: Roster) -> None:
    with pytest.raises(BadStart, match="which nothing may hold back"):
        read(tmp_path, roster, (REST, HIDES[says] + REST))


def test_the_last_rule_is_one_of_them(tmp_path: Path, roster: Roster) -> None:
    with pytest.raises(BadStart, match="which nothing may hold back"):
        read(tmp_path, roster, ("name: rest, tell: [operations]", "name: rest, tell: []"))


def test_a_ladder_climbs_no_longer_than_its_record_can_tell(tmp_path: Path, roster: Roster) -> None:
    with pytest.raises(BadStart, match="a ladder of so many steps has at most"):
        read(tmp_path, roster, ("again: 1 hour", "again: 1 hour\n    rounds: 999"))


def test_a_rule_that_such_an_event_cannot_reach_may_tell_nobody(tmp_path: Path, roster: Roster) -> None:
    quiet = '  - {name: daily, when: {event: [case.closed]}, tell: [], says: "!"}\n'
    assert read(tmp_path, roster, (REST, quiet + REST)).rules[-2].name == "daily"
