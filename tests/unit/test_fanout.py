"""Who must hear of an event, on which channel and when: decided from the files, the roster and the desk's lists."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from benchmarks.fanout import Nobody, fanout
from services.notifier.acknowledgement.notices_views import NoticeView
from services.notifier.domain import Happened, decide, evolve
from services.notifier.domain.bodies import PAUSED, Raising
from services.notifier.domain.ladders import FIRST, Begin, Place
from services.notifier.domain.silences import End
from services.notifier.domain.subscriptions import Gone
from services.notifier.fanout import LAST_PATIENCE, Fanout, window_end
from services.notifier.lists.directory import Directory
from services.notifier.rules.alert_rules import AlertRules, Audience, Ladder, Member, Quiet, Rule, Step
from shared.decisions import NEW, Message
from shared.events import ALERT_RAISED, CASE_ASSIGNED, CASE_CLOCK_MISSED, CASE_CLOCK_WARNED, CASE_LAPSED, of_case
from shared.ids import Ids
from shared.partners import NoticeChannel
from shared.records import Record
from shared.sealing import Sealer
from shared.times import text_of
from shared.vocabulary import DESK
from tests.unit.alerts import facts, law, life, partners, roster
from tests.unit.kept_lists import PAUSE, added, begin, silence
from tests.unit.test_directory import Lists

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
"""Tuesday, noon in Baku: lala has the desk, nadir is its head."""
IDS, SEALER = Ids(b"k" * 32), Sealer(b"s" * 32)
CAUSE = "/cases.events.v1/cas_1#evt_1"
EMAIL, APPRISE, ALERTMANAGER = NoticeChannel.EMAIL, NoticeChannel.APPRISE, NoticeChannel.ALERTMANAGER
DUTY, OPERATIONS = [("duty-officers", "kafka"), ("duty-officers", "webhook")], [("operations", "kafka")]
MINUTES, HOURS = timedelta(minutes=1), timedelta(hours=1)


def happened(said: Mapping[str, str], due: datetime | None = None, cause: str = CAUSE) -> Happened:
    return Happened(said, "cas_1", cause, text_of(NOW), text_of(due) if due else None)


def raised(messages: list[Message]) -> list[Raising]:
    return [message.body for message in messages if isinstance(message.body, Raising)]


def begun(messages: list[Message]) -> Begin | None:
    """The ladder that an event begins; never more than one."""
    found = [message.body for message in messages if isinstance(message.body, Begin)]
    assert len(found) <= 1
    return found[0] if found else None


def places(messages: list[Message]) -> list[tuple[str, str]]:
    return [(body.subscriber, body.channel) for body in raised(messages)]


# By this deployment's files


@cache
def ours() -> Fanout:
    return fanout(partners(), law(), life(), IDS, lambda: NOW)


LALA = {"subscriber": "person.lala", "channel": "apprise", "then": ["email"]}
WARNED = {"event": CASE_CLOCK_WARNED, "clock": "c", "clock_kind": "statutory", "step": "1 day"}
MISSED = {"event": CASE_CLOCK_MISSED, "clock": "c", "clock_kind": "statutory", "step": "due"}
HEARS: dict[str, tuple[dict[str, str], timedelta | None, list[tuple[str, str]], str | None]] = {
    "a risk to life": (
        facts(type="emergency_data", urgency="emergency", lane="urgent"),
        None,
        [*DUTY, *OPERATIONS],
        "desk",
    ),
    "what is urgent": (facts(lane="urgent", urgency="urgent"), None, DUTY, "desk"),
    "what is urgent and nobody's": (facts(lane="urgent", authority=DESK), None, DUTY, "desk"),
    "a deadline of the law has passed": (facts(**MISSED), -HOURS, [*DUTY, *OPERATIONS], "desk"),
    "a preservation has lapsed": (
        facts(event=CASE_LAPSED, clock="c", clock_kind="statutory", step="due"),
        -HOURS,
        [*DUTY, *OPERATIONS],
        "desk",
    ),
    "a deadline of the law ends today": (
        facts(**WARNED),
        10 * HOURS,
        [*DUTY, ("person.lala", "email"), ("person.nadir", "email")],
        None,
    ),
    "a deadline of the law ends one day": (facts(**WARNED), 80 * HOURS, [*DUTY, ("person.lala", "email")], None),
    "our own target": (facts(**WARNED | {"clock_kind": "policy"}), 10 * HOURS, OPERATIONS, None),
    "a gap in the roster": (
        {"event": ALERT_RAISED, "kind": "roster-gap", "service": "notifier", "rota": "desk"},
        None,
        [*DUTY, *OPERATIONS],
        "roster",
    ),
    "a machine is in trouble": (
        {"event": ALERT_RAISED, "kind": "technical", "service": "alertmanager", "severity": "critical"},
        None,
        [*OPERATIONS, *DUTY],
        "operations",
    ),
    "what authorities do": (facts(event=of_case("begun"), status="in_execution"), None, [], None),
    "everything else": (facts(), None, OPERATIONS, None),
}


@pytest.mark.parametrize("case", HEARS)
def test_who_hears_and_which_ladder_is_climbed(case: str) -> None:
    said, left, told, ladder = HEARS[case]

    messages = ours().messages(happened(said, NOW + left if left is not None else None))

    assert places(messages) == told
    first = begun(messages)
    assert (first.ladder if first else None) == ladder
    assert {message.subject for message in messages} <= {"cas_1"}
    assert {message.cause for message in messages} <= {CAUSE}


def test_most_letters_are_told_to_one_system_on_its_topic_and_nothing_else_happens() -> None:
    (message,) = ours().messages(happened(facts()))

    alert = IDS.alert("everything-else", CAUSE)
    says = "extradition (incoming, FR) is with justice-ministry."
    body = Raising(alert, "everything-else", says, "operations", "kafka", facts(), happened_at=text_of(NOW))
    assert message == Message(IDS.notice(alert, "operations", "kafka"), CAUSE, "notifier", body, "cas_1", seen=NEW)
    record = Record(message.record, message.subject, {})
    (draft,) = decide(record, message, NOW).events
    record.append(draft, by="notifier", cause=CAUSE, now=NOW, evolve=evolve, sealer=SEALER)
    assert dict(record.fresh[0].to) == {"notices.operations.v1": 1}
    assert not {"next_due", "follow_at"} & record.state.keys()


def test_a_risk_to_life_rings_whoever_has_the_desk_and_nothing_may_hold_that_back() -> None:
    messages = ours().messages(happened(facts(type="emergency_data", urgency="emergency", lane="urgent")))

    assert {body.never_held for body in raised(messages)} == {True}
    first = begun(messages)
    assert first
    assert first.never_held
    assert [dict(tell) for tell in first.tells] == [{**LALA, "give_up_at": text_of(NOW + 2 * MINUTES)}]
    assert (first.next_after, first.remind_after) == (10 * MINUTES, 2 * HOURS)
    assert first.happened_at == text_of(NOW)
    alert = IDS.alert("emergency", CAUSE)
    assert [message.record for message in messages if isinstance(message.body, Begin)] == [alert]
    assert {body.alert for body in raised(messages)} == {alert}


def test_a_notice_says_when_the_clock_ends_that_it_is_about() -> None:
    due = NOW - HOURS
    messages = ours().messages(happened(facts(**MISSED), due))
    first = begun(messages)

    assert {body.due for body in raised(messages)} == {text_of(due)}
    assert first
    assert first.due == text_of(due)


def test_each_channel_of_each_recipient_gets_a_notice_of_its_own() -> None:
    messages = ours().messages(happened(facts(type="data_preservation", lane="urgent")))

    notices = [message for message in messages if isinstance(message.body, Raising)]
    assert places(messages) == DUTY
    assert len({message.record for message in notices}) == 2
    assert len({body.alert for body in raised(messages)}) == 1


@pytest.mark.parametrize("case", HEARS)
def test_the_same_event_raises_the_same_notices_for_ever_and_another_event_others(case: str) -> None:
    said, left, *_ = HEARS[case]
    due = NOW + left if left is not None else None

    first = ours().messages(happened(said, due))

    assert ours().messages(happened(said, due)) == first
    others = {message.record for message in ours().messages(happened(said, due, "another"))}
    assert not others & {message.record for message in first}


def test_the_words_of_a_notice_come_from_the_facts_and_what_is_not_known_is_left_out() -> None:
    (body,) = raised(ours().messages(happened(facts())))
    assert body.says == "extradition (incoming, FR) is with justice-ministry."

    (body,) = raised(ours().messages(happened({"event": CASE_ASSIGNED})))
    assert body.says == " (, ) is with ."


def test_braces_in_a_fact_are_no_places_to_fill() -> None:
    (body,) = raised(ours().messages(happened(facts(party="{type}"))))

    assert body.says == "extradition (incoming, {type}) is with justice-ministry."


# By rules of our own

NIGHT = Quiet(**{"from": "22:00", "until": "07:00"})
PLAIN = {"event": CASE_ASSIGNED, "party": "FR"}
EMERGENCY = {**PLAIN, "urgency": "emergency"}


def rules(*members: Member, **more: Any) -> AlertRules:
    """One rule for all, which tells an audience of these."""
    audience = Audience(title="Somebody", members=members, **more)
    return AlertRules(
        (Rule(name="all", tell=("somebody",), says={"en": "{party}", "fr": "De {party}"}),),
        {"somebody": audience},
        {"up": LADDER} if "ladder" in more else {},
    )


LADDER = Ladder(
    steps=(
        Step(after=timedelta(), tell=(Member(duty="desk", by=(APPRISE, EMAIL)),)),
        Step(after=10 * MINUTES, tell=(Member(duty="heads", by=(EMAIL,)),)),
    ),
    again=30 * MINUTES,
)


def told(of: AlertRules, directory: Directory | None = None, now: datetime = NOW) -> Fanout:
    return Fanout(of, partners().subscribers, roster(), directory or Nobody(), IDS, lambda: now)


def one(member: Member, said: Mapping[str, str] = PLAIN, now: datetime = NOW) -> Raising:
    """The one notice to a member."""
    (body,) = raised(told(rules(member), now=now).messages(happened(said)))
    return body


HAND_OVERS = {
    "the night is not over": ("2026-03-10T03:59:59.999999", "vera"),
    "the day begins": ("2026-03-10T04:00", "lala"),
    "the day is not over": ("2026-03-10T15:59:59.999999", "lala"),
    "the night begins": ("2026-03-10T16:00", "colin"),
}


@pytest.mark.parametrize("case", HAND_OVERS)
def test_whoever_is_on_duty_then_is_told(case: str) -> None:
    at, person = HAND_OVERS[case]
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)

    assert one(Member(duty="desk", by=(EMAIL,)), now=now).subscriber == f"person.{person}"


def test_somebody_is_told_also_where_nobody_is_planned() -> None:
    before_the_roster_begins = datetime(2025, 6, 1, tzinfo=UTC)

    assert one(Member(duty="desk", by=(EMAIL,)), now=before_the_roster_begins).subscriber == "person.solene"


def test_a_person_who_is_in_twice_is_told_once_on_a_channel_and_the_first_counts() -> None:
    both = rules(Member(duty="desk", by=(EMAIL, APPRISE)), Member(person="lala", by=(EMAIL,), group=HOURS))

    (body,) = raised(told(both).messages(happened(PLAIN)))

    assert (body.subscriber, body.then, body.in_digest) == ("person.lala", ["apprise"], False)


NIGHTFALL, MORNING = datetime(2026, 3, 10, 18, tzinfo=UTC), datetime(2026, 3, 11, 3, tzinfo=UTC)
"""22:00 and the next 07:00 in Baku."""
HELD: dict[str, tuple[dict[str, Any], datetime, datetime | None, bool]] = {
    "nothing": ({}, NOW, None, False),
    "quiet hours by day": ({"quiet": NIGHT}, NOW, None, False),
    "a moment before the night": ({"quiet": NIGHT}, NIGHTFALL - timedelta(microseconds=1), None, False),
    "the night": ({"quiet": NIGHT}, NIGHTFALL, MORNING, False),
    "a moment before the morning": ({"quiet": NIGHT}, MORNING - timedelta(microseconds=1), MORNING, False),
    "the morning": ({"quiet": NIGHT}, MORNING, None, False),
    "a window": ({"group": 5 * MINUTES}, NOW + 2 * MINUTES, NOW + 5 * MINUTES, True),
    "a window that begins": ({"group": 5 * MINUTES}, NOW, NOW + 5 * MINUTES, True),
    "the last moment of a window": (
        {"group": 5 * MINUTES},
        NOW + 5 * MINUTES - timedelta(microseconds=1),
        NOW + 5 * MINUTES,
        True,
    ),
    "a window in the night": ({"group": HOURS, "quiet": NIGHT}, NIGHTFALL + HOURS, MORNING + HOURS, True),
    "a window by day": ({"group": HOURS, "quiet": NIGHT}, NOW, NOW + HOURS, True),
}


@pytest.mark.parametrize("case", HELD)
def test_what_can_wait_waits_for_the_end_of_the_window_and_of_the_night(case: str) -> None:
    how, now, until, in_digest = HELD[case]

    body = one(Member(person="lala", by=(EMAIL,), **how), now=now)

    assert (body.not_before, body.in_digest) == (text_of(until) if until else None, in_digest)


def test_windows_follow_one_another_without_a_gap() -> None:
    ends = window_end(7 * MINUTES, NOW)

    assert NOW < ends <= NOW + 7 * MINUTES
    assert window_end(7 * MINUTES, ends - timedelta(microseconds=1)) == ends
    assert window_end(7 * MINUTES, ends) == ends + 7 * MINUTES


def test_a_rate_goes_with_the_notice() -> None:
    assert one(Member(person="lala", by=(EMAIL,), rate=10)).rate == 10


def test_nothing_holds_back_what_is_never_held() -> None:
    member = Member(person="lala", by=(EMAIL, APPRISE), rate=1, quiet=NIGHT, group=HOURS)

    body = one(member, EMERGENCY, NIGHTFALL)

    assert (body.not_before, body.in_digest, body.rate, body.never_held) == (None, False, None, True)
    assert body.give_up_at == text_of(NIGHTFALL + 2 * MINUTES)


FALLS_BACK: dict[str, tuple[dict[str, Any], datetime, str, list[str], datetime | None]] = {
    "one channel": ({"by": (EMAIL,)}, NOW, "email", [], None),
    "two": ({"by": (APPRISE, EMAIL)}, NOW, "apprise", ["email"], NOW + 2 * MINUTES),
    "with more patience": (
        {"by": (EMAIL, APPRISE), "patience": 10 * MINUTES},
        NOW,
        "email",
        ["apprise"],
        NOW + 10 * MINUTES,
    ),
    "from the end of the night on": (
        {"by": (EMAIL, APPRISE), "quiet": NIGHT},
        NIGHTFALL,
        "email",
        ["apprise"],
        MORNING + 2 * MINUTES,
    ),
}


@pytest.mark.parametrize("case", FALLS_BACK)
def test_channels_are_tried_one_after_the_other_each_for_its_time(case: str) -> None:
    how, now, channel, then, until = FALLS_BACK[case]

    body = one(Member(person="lala", **how), now=now)

    assert (body.channel, list(body.then)) == (channel, then)
    assert body.give_up_at == (text_of(until) if until else None)


def test_a_system_of_ours_is_told_on_its_one_channel_at_once() -> None:
    body = one(Member(system="alertmanager", by=(ALERTMANAGER,)), now=NIGHTFALL)

    assert (body.subscriber, body.channel, body.not_before) == ("system.alertmanager", "alertmanager", None)


# Ladders


def climbing(now: datetime = NOW, directory: Directory | None = None, said: Mapping[str, str] = PLAIN) -> Begin:
    first = begun(told(rules(ladder="up"), directory, now).messages(happened(said)))
    assert first
    return first


def test_a_step_tells_whoever_is_on_duty_when_it_comes_due() -> None:
    before, after = (
        told(rules(ladder="up"), now=now).tells(LADDER.steps[0].tell, now, never_held=False)
        for now in (MORNING + 59 * MINUTES, MORNING + 60 * MINUTES)
    )

    assert [tell["subscriber"] for tell in (*before, *after)] == ["person.colin", "person.lala"]


def test_a_step_has_until_the_next_and_the_last_until_it_is_taken_again() -> None:
    of = told(rules(ladder="up"))

    assert (of.after("up", 0), of.after("up", 1)) == (10 * MINUTES, 30 * MINUTES)
    bare = rules(ladder="up")
    bare = AlertRules(bare.rules, bare.audiences, {"up": LADDER.model_copy(update={"again": None})})
    assert told(bare).after("up", 1) == LAST_PATIENCE


def test_the_notices_of_a_step_are_the_same_for_ever_and_those_of_another_step_others() -> None:
    of, first = told(rules(ladder="up")), climbing(said=EMERGENCY)
    alert = IDS.alert("all", CAUSE)
    state = {"facts": EMERGENCY, "about": "cas_1", "rule": "all", "says": "FR", "due": None, "never_held": True}

    messages = of.raisings(alert, state, FIRST, first.tells)

    (body,) = raised(messages)
    assert (body.subscriber, body.channel, body.step, body.alert) == ("person.lala", "apprise", "0.0", alert)
    assert (body.never_held, body.says, list(body.then)) == (True, "FR", ["email"])
    assert messages[0].subject == "cas_1"
    assert of.raisings(alert, state, FIRST, first.tells) == messages
    again = of.raisings(alert, state, Place(1, 0), first.tells)
    assert again[0].record != messages[0].record
    assert again[0].cause != messages[0].cause


# The desk's lists


async def listed(*subscriptions: Any, silences: Any = ()) -> Directory:
    lists = Lists()
    lists.subscriptions.records, lists.silences.records = list(subscriptions), list(silences)
    return await lists.looks()


OPS = Member(subscriber="operations")


async def test_who_subscribed_to_an_audience_hears_what_its_rules_say() -> None:
    directory = await listed(
        added("by-audience", {"audience": "somebody"}), added("of-another", {"audience": "somebody-else"})
    )

    messages = told(rules(OPS), directory).messages(happened(PLAIN))

    assert places(messages) == [*OPERATIONS, ("subscription.by-audience", "webhook")]
    assert len({message.record for message in messages}) == 2


@pytest.mark.parametrize(("when", "hears"), [({"party": ["MA", "FR"]}, True), ({"party": ["MA"]}, False), ({}, True)])
async def test_who_subscribed_by_facts_hears_what_has_them_whoever_else_does(
    when: dict[str, list[str]], hears: bool
) -> None:
    directory = await listed(added("ministry", {"when": when}))

    messages = told(rules(OPS), directory).messages(happened(PLAIN))

    assert places(messages) == [*OPERATIONS, *[("subscription.ministry", "webhook")] * hears]


async def test_who_subscribed_by_facts_hears_once_however_many_rules_fire() -> None:
    twice = AlertRules(
        (
            Rule(name="first", tell=("operations",), says={"en": "1"}, then_continue=True),
            Rule(name="second", tell=("operations",), says={"en": "2"}),
        )
    )
    directory = await listed(added("ministry", {"when": {}}))

    assert places(told(twice, directory).messages(happened(PLAIN))) == [
        *OPERATIONS,
        ("subscription.ministry", "webhook"),
        *OPERATIONS,
    ]


async def test_a_subscription_has_its_window_and_its_rate_save_for_what_is_never_held() -> None:
    of = told(rules(OPS), await listed(added("ministry", {"when": {}}, group=300, rate=7)))

    _, held = raised(of.messages(happened(PLAIN)))
    assert (held.not_before, held.in_digest, held.rate) == (text_of(NOW + 5 * MINUTES), True, 7)
    _, at_once = raised(of.messages(happened(EMERGENCY)))
    assert (at_once.not_before, at_once.in_digest, at_once.rate) == (None, False, None)


@pytest.mark.parametrize("why", [PAUSE, Gone(1)])
async def test_what_a_subscription_does_not_get_is_kept_all_the_same(why: Any) -> None:
    ministry = added("ministry", {"when": {}}).hear(why)

    operations, held = raised(told(rules(OPS), await listed(ministry)).messages(happened(PLAIN)))

    assert (operations.silence, held.silence) == (None, PAUSED)
    assert held.subscriber == "subscription.ministry"


async def test_a_pause_does_not_hold_back_what_is_never_held() -> None:
    ministry = added("ministry", {"when": {}}).hear(PAUSE)

    messages = told(rules(OPS), await listed(ministry)).messages(happened(EMERGENCY))

    assert [body.silence for body in raised(messages)] == [None, None]


async def test_a_silence_makes_silenced_records_of_all_notices_and_of_the_ladder() -> None:
    quiet = silence().hear(begin({"party": ["FR"]}))
    directory = await listed(added("ministry", {"when": {}}), silences=[quiet])
    of = rules(OPS, Member(person="lala", by=(EMAIL,)), ladder="up")

    messages = told(of, directory).messages(happened(PLAIN))

    assert places(messages) == [*OPERATIONS, ("person.lala", "email"), ("subscription.ministry", "webhook")]
    assert {body.silence for body in raised(messages)} == {quiet.record.id}
    first = begun(messages)
    assert first
    assert first.silence == quiet.record.id
    for message in messages:
        record = Record(message.record, message.subject, {})
        for draft in decide(record, message, NOW).events:
            record.append(draft, by="notifier", cause=CAUSE, now=NOW, evolve=evolve, sealer=SEALER)
        assert (record.version, record.state["status"]) == (1, "silenced")
        assert not record.fresh[0].to
        assert not {"next_due", "follow_at", "owed"} & record.state.keys()


LETS_THROUGH: dict[str, tuple[dict[str, list[str]], Mapping[str, str], datetime, bool]] = {
    "another party": ({"party": ["MA"]}, PLAIN, NOW, True),
    "a silence that is over": ({"party": ["FR"]}, PLAIN, NOW + HOURS, True),
    "a silence that is not over": ({"party": ["FR"]}, PLAIN, NOW + HOURS - timedelta(microseconds=1), False),
    "what is never held": ({"party": ["FR"]}, EMERGENCY, NOW, True),
}


@pytest.mark.parametrize("case", LETS_THROUGH)
async def test_a_silence_holds_back_what_it_names_while_it_lasts_and_never_what_must_not_wait(case: str) -> None:
    when, said, now, is_told = LETS_THROUGH[case]
    directory = await listed(silences=[silence().hear(begin(when))])

    messages = told(rules(OPS, ladder="up"), directory, now).messages(happened(said))

    first = begun(messages)
    assert first
    assert [silenced is None for silenced in (first.silence, *(body.silence for body in raised(messages)))] == [
        is_told
    ] * 2


async def test_a_silence_that_was_ended_holds_nothing_back() -> None:
    directory = await listed(silences=[silence().hear(begin({"party": ["FR"]})).hear(End())])

    (body,) = raised(told(rules(OPS), directory).messages(happened(PLAIN)))

    assert body.silence is None


async def test_the_lists_change_nothing_for_those_whom_they_do_not_concern() -> None:
    directory = await listed(added("ministry", {"when": {"party": ["MA"]}}))

    assert told(rules(OPS), directory).messages(happened(PLAIN)) == told(rules(OPS)).messages(happened(PLAIN))


# What notices say


def kept(of: Fanout) -> Record:
    """The notice of a plain case, as it stands."""
    (message,) = of.messages(happened(PLAIN))
    record = Record(message.record, message.subject, {})
    for draft in decide(record, message, NOW).events:
        record.append(draft, by="notifier", cause=CAUSE, now=NOW, evolve=evolve, sealer=SEALER)
    return record


def test_a_notice_speaks_the_languages_of_its_rule_and_where_that_has_gone_as_it_was_raised() -> None:
    of = told(rules(OPS))
    (raised_as,) = kept(of).fresh
    other = told(AlertRules((Rule(name="new", tell=("operations",), says={"en": "?", "fr": "?"}),)))

    assert of.sentences(raised_as) == {"en": "FR", "fr": "De FR"}
    assert other.sentences(raised_as) == {"en": "FR"}


OF_NO_MATTER = NoticeView.model_fields.keys() - {"story"}


@pytest.mark.parametrize(("language", "says"), [("en", ("FR", "en")), ("fr", ("De FR", "fr")), ("az", ("FR", "en"))])
def test_a_reader_is_told_in_their_language_or_in_english(language: str, says: tuple[str, str]) -> None:
    said = {"rule": "all", "facts": PLAIN, "says": "FR", "attempts": 0}
    shown = NoticeView.model_validate(dict.fromkeys(OF_NO_MATTER, "") | said)

    assert told(rules(OPS)).sentence(shown, language) == says


def test_a_system_is_tried_until_the_cases_next_clock_and_then_somebody_must_know() -> None:
    from services.notifier.domain import bound_of

    clocks = [
        {"clock": "acknowledge", "due": "2026-03-10T09:00:00Z", "stopped_at": "2026-03-10T08:10:00Z"},
        {"clock": "order", "due": "2026-03-11T08:00:00Z"},
        {"clock": "follow-up", "due": "2026-05-10T08:00:00Z"},
    ]
    assert bound_of({"clocks": clocks}) == "2026-03-11T08:00:00Z"
    assert bound_of({"clocks": clocks[:1]}) is None
    assert bound_of({}) is None
