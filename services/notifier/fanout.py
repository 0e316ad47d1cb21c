"""Fan-out: an event becomes one message per rule that fires, recipient and channel; or begins an alert's ladder."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from services.notifier.acknowledgement.notices_views import NoticeView
from services.notifier.domain import Happened
from services.notifier.domain.bodies import PAUSED, Raising
from services.notifier.domain.ladders import Begin, Place, Tell
from services.notifier.domain.notices import BY
from services.notifier.duty.roster import Roster
from services.notifier.lists.directory import Directory, Subscription
from services.notifier.rules.alert_rules import AlertRules, Member, Rule
from shared.decisions import NEW, Message
from shared.events import CASE_LAPSED, Event
from shared.ids import Ids
from shared.partners import NoticeChannel, Subscriber
from shared.times import read, text_of

LAST_PATIENCE = timedelta(minutes=30)
"""After the last step of a ladder that does not say when to tell again."""


class Fanout:
    """Who must hear of an event. Reads the rules, the roster and the directory as they stand; does no I/O."""

    def __init__(
        self,
        rules: AlertRules,
        subscribers: Mapping[str, Subscriber],
        roster: Roster,
        directory: Directory,
        ids: Ids,
        now: Callable[[], datetime],
    ) -> None:
        self.rules, self.ids = rules, ids
        self._subscribers, self._roster, self._directory, self._now = subscribers, roster, directory, now
        self._by_name = {rule.name: rule for rule in rules.rules}
        self._plain: dict[str, list[tuple[str, str]] | None] = {}

    def messages(self, happened: Happened) -> list[Message]:
        """What an event leads to."""
        left = read(happened.due) - read(happened.at) if happened.due else None
        told: set[str] = set()
        """The subscriptions that hear by their own filter: once, however many rules fire."""
        return [
            message
            for rule in self.rules.choose(happened.facts, left)
            for message in self._of_rule(rule, happened, told)
        ]

    def sentences(self, raised: Event) -> Mapping[str, str]:
        """What a notice says, in the languages of its rule; where that has gone, as it was raised."""
        data = raised.data
        rule = self._by_name.get(data["rule"])
        return {**(rule.words(data["facts"]) if rule else {}), "en": data["says"]}

    def sentence(self, notice: NoticeView, language: str) -> tuple[str, str]:
        """The same for one reader, and in which language it is."""
        rule = self._by_name.get(notice.rule)
        words = rule.words(notice.facts) if rule else {}
        return (words[language], language) if language in words else (notice.says, "en")

    def _of_rule(self, rule: Rule, happened: Happened, told: set[str]) -> list[Message]:
        facts = happened.facts
        alert = self.ids.alert(rule.name, happened.cause)
        says = rule.sentence(facts)
        hearing = _new(self._directory.hearing(facts, rule.tell), told)
        held_back = _new(self._directory.held_back(facts, rule.tell), told)
        plain = self._recipients(rule)
        never_held = self.rules.is_never_held(facts)
        silence = None if never_held else self._directory.silence_for(facts, self._now())
        silenced = silence.id if silence else None
        bound = self._bound(happened)
        if plain is not None and not hearing and not held_back and silenced is None:
            return [
                Message(
                    self.ids.notice(alert, subscriber, channel),
                    happened.cause,
                    BY,
                    Raising(
                        alert,
                        rule.name,
                        says,
                        subscriber,
                        channel,
                        facts,
                        due=happened.due,
                        never_held=never_held,
                        give_up_at=bound if channel != NoticeChannel.KAFKA else None,
                        happened_at=happened.at,
                    ),
                    happened.about,
                    seen=NEW,
                )
                for subscriber, channel in plain
            ]
        now = self._now()
        tells = self.tells(self.rules.members(rule), now, never_held=never_held)
        tells += [_of_subscription(one, now, never_held=never_held) for one in hearing]
        tells += [
            {"subscriber": f"subscription.{one.name}", "channel": str(one.channel), "silence": PAUSED}
            for one in held_back
        ]
        messages = [
            self._raising(
                _bounded(tell, bound, happened.at),
                alert,
                rule.name,
                says,
                happened.about,
                happened.cause,
                facts,
                happened.due,
                never_held,
                silenced,
            )
            for tell in tells
        ]
        if ladder := self.rules.ladder_of(rule):
            messages.append(self._ladder(ladder, rule, says, happened, never_held, silenced, now))
        return messages

    def _bound(self, happened: Happened) -> str | None:
        """Until when a system may be tried: the case's next clock, where that lies ahead."""
        bound = happened.bound
        return bound if bound is not None and bound > text_of(self._now()) else None

    def _recipients(self, rule: Rule) -> list[tuple[str, str]] | None:
        """The subscribers of a rule and their channels, where it tells nobody else: the quick way for most events."""
        if rule.name not in self._plain:
            members = self.rules.members(rule)
            is_plain = not self.rules.ladder_of(rule) and all(member.subscriber for member in members)
            self._plain[rule.name] = (
                [(m.subscriber, channel) for m in members if m.subscriber for channel in self._channels(m.subscriber)]
                if is_plain
                else None
            )
        return self._plain[rule.name]

    def _channels(self, subscriber: str) -> Sequence[str]:
        return tuple(self._subscribers[subscriber].channels)

    def _ladder(
        self,
        name: str,
        rule: Rule,
        says: str,
        happened: Happened,
        never_held: bool,
        silence: str | None,
        now: datetime,
    ) -> Message:
        ladder, facts_event = self.rules.ladders[name], happened.facts["event"]
        body = Begin(
            rule.name,
            name,
            says,
            happened.facts,
            happened.at,
            self.tells(ladder.steps[0].tell, now, never_held=never_held),
            self.after(name, 0),
            # Of an alert of our own, and of a case that is over, nothing more will be heard: no reminder could end.
            ladder.remind_after if happened.about.startswith("cas_") and facts_event != CASE_LAPSED else None,
            happened.due,
            never_held,
            silence,
        )
        return Message(self.ids.alert(rule.name, happened.cause), happened.cause, BY, body, happened.about)

    def after(self, ladder: str, step: int) -> timedelta:
        """How long a step has before the next thing happens."""
        known = self.rules.ladders[ladder]
        if step + 1 < len(known.steps):
            return known.steps[step + 1].after - known.steps[step].after
        return known.again or LAST_PATIENCE

    def tells(self, members: Sequence[Member], now: datetime, *, never_held: bool) -> list[Tell]:
        """The recipients of members as of now: whoever is on duty, each with the first channel and those after it."""
        found: dict[tuple[str, str], Tell] = {}
        for member in members:
            for tell in self._of_member(member, now, never_held=never_held):
                found.setdefault((tell["subscriber"], tell["channel"]), tell)
        return list(found.values())

    def _of_member(self, member: Member, now: datetime, *, never_held: bool) -> list[Tell]:
        if member.subscriber:
            return [{"subscriber": member.subscriber, "channel": str(c)} for c in self._channels(member.subscriber)]
        if member.system:
            return [{"subscriber": f"system.{member.system}", "channel": str(member.by[0])}]
        person = (
            self._roster.on_duty(member.duty, now).person if member.duty else self._roster.people[member.person or ""]
        )
        first, *then = [channel for channel in member.by if channel in person.contacts] or [member.by[0]]
        tell: dict[str, object] = {"subscriber": f"person.{person.id}", "channel": str(first)}
        if not never_held:
            quiet = member.quiet.end(now, self._roster.zone) if member.quiet else None
            tell |= _held(quiet, member.group, member.rate, now)
        if then:
            begins = read(str(tell["not_before"])) if "not_before" in tell else now
            tell |= {"then": [str(channel) for channel in then], "give_up_at": text_of(begins + member.patience)}
        return [tell]

    def raisings(self, alert: str, state: Mapping[str, object], at: Place, tells: Sequence[Tell]) -> list[Message]:
        """The notices of one step of a ladder; the same for ever for the same step."""
        cause = f"ladder/{alert}/{at}"
        facts: Mapping[str, str] = state["facts"]  # type: ignore[assignment]
        about, rule, says = str(state["about"]), str(state["rule"]), str(state["says"])
        due = str(state["due"]) if state.get("due") else None
        held = bool(state.get("never_held"))
        return [self._raising(tell, alert, rule, says, about, cause, facts, due, held, None, at=at) for tell in tells]

    def _raising(
        self,
        tell: Tell,
        alert: str,
        rule: str,
        says: str,
        about: str,
        cause: str,
        facts: Mapping[str, str],
        due: str | None,
        never_held: bool,
        silence: str | None,
        at: Place | None = None,
    ) -> Message:
        more = dict(tell)
        more["silence"] = silence or more.get("silence")
        body = Raising(
            alert, rule, says, facts=facts, due=due, never_held=never_held, step=str(at) if at else None, **more
        )
        # A later step may tell the same recipient on the same channel once more.
        of = f"{alert}/{at}" if at else alert
        return Message(self.ids.notice(of, body.subscriber, body.channel), cause, BY, body, about, seen=NEW)


def _bounded(tell: Tell, bound: str | None, happened_at: str) -> Tell:
    """With the end of its time, where it has none of its own, and when that happened which it tells."""
    more: dict[str, object] = {}
    if bound and "give_up_at" not in tell and tell["channel"] != NoticeChannel.KAFKA and "not_before" not in tell:
        more["give_up_at"] = bound
    return {**tell, **more, "happened_at": happened_at}


def _new(found: Sequence[Subscription], told: set[str]) -> list[Subscription]:
    """Those that no earlier rule has told of the same event."""
    new = [one for one in found if one.name not in told]
    told.update(one.name for one in new if "when" in one.hears)
    return new


def window_end(window: timedelta, at: datetime) -> datetime:
    """The end of the window in which a moment lies: windows follow one another without a gap."""
    length = window.total_seconds()
    return datetime.fromtimestamp((at.timestamp() // length + 1) * length, UTC)


def _held(quiet: datetime | None, group: timedelta | None, rate: int | None, now: datetime) -> Tell:
    """What holds a notice back for a while."""
    more: dict[str, object] = {}
    if group:
        more |= {"not_before": text_of(window_end(group, max(quiet or now, now))), "in_digest": True}
    elif quiet:
        more["not_before"] = text_of(quiet)
    if rate:
        more["rate"] = rate
    return more


def _of_subscription(one: Subscription, now: datetime, *, never_held: bool) -> Tell:
    tell: Tell = {"subscriber": f"subscription.{one.name}", "channel": str(one.channel)}
    return tell if never_held else {**tell, **_held(None, one.group, one.rate, now)}
