"""Subscriptions and silences for tests: records decided as the notifier does, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.notifier.domain import silences, subscription_state, subscriptions
from services.notifier.domain.silences import Begin
from services.notifier.domain.subscriptions import Add, Hears, Left, Pause
from services.notifier.lists.listed import Silence, Subscription, hears_only_never_held, silence_of, subscription_of
from services.notifier.rules.alert_rules import AlertRules, Rule
from services.notifier.rules.members import Audience, Member
from services.notifier.rules.never_held import of_law
from shared.decisions import Decide, Decision, Message
from shared.ids import Ids
from shared.records import Evolve, Record
from shared.sealing import Sealer
from shared.times import text_of

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
IDS, SEALER = Ids(b"k" * 32), Sealer(b"s" * 32)
ADDRESS = "https://hooks.ministry.example/notices?token=ADDRESS-MARK"
KEY, NEXT_KEY = "whsec_S0VZLU1BUks=", "whsec_TkVYVA=="
PAUSE = Pause("AUTHOR-MARK", "REASON-MARK")
RULES = AlertRules(
    (
        Rule(name="emergency", when={"urgency": ("emergency",)}, tell=("woken", "duty"), says={"en": "!"}),
        Rule(name="lapsed", when={"event": ("case.lapsed",)}, tell=("woken",), says={"en": "!"}),
        Rule(name="rest", tell=("duty",), says={"en": "?"}),
    ),
    {
        "woken": Audience(title="Who is woken", members=(Member(subscriber="operations"),)),
        "duty": Audience(title="Who is on duty", members=(Member(subscriber="operations"),)),
    },
    kept=of_law(["provisional_arrest"]),
)


@dataclass
class Kept:
    """One record, to which things are said one after the other."""

    decide: Decide
    evolve: Evolve
    record: Record
    now: datetime = NOW
    decided: Decision = field(default_factory=Decision)
    count: int = 0

    def hear(self, body: Any, **later: float) -> "Kept":
        """Something is said to it, after some time."""
        self.now += timedelta(**later)
        self.count += 1
        message = Message(self.record.id, f"cause-{self.count}", "desk", body)
        self.record.history = []
        self.decided = self.decide(self.record, message, self.now)
        for draft in self.decided.events:
            self.record.append(draft, by="desk", cause=message.cause, now=self.now, evolve=self.evolve, sealer=SEALER)
        return self

    @property
    def types(self) -> list[str]:
        """What followed from the last thing said."""
        return [draft.type for draft in self.decided.events]

    @property
    def state(self) -> Mapping[str, Any]:
        """How it stands."""
        return self.record.state

    @property
    def subscription(self) -> Subscription:
        """As the directory holds it."""
        return subscription_of(self.record, self.record.fresh)

    @property
    def silence(self) -> Silence:
        """As the directory holds it."""
        return silence_of(self.record, self.record.fresh)


def add(name: str = "ministry", **changes: Any) -> Add:
    """What adds a webhook."""
    said: dict[str, Any] = {
        "channel": "webhook",
        "address": ADDRESS,
        "key": KEY,
        "signs": "v1",
        "hears": {"when": {}},
        "language": "en",
        "group": None,
        "rate": None,
    }
    return Add(name=name, **(said | changes))


def subscription(name: str = "ministry") -> Kept:
    """The record of a name, about which nothing was said yet."""
    record = IDS.subscription(name)
    decide = subscriptions.decide_by(hears_only_never_held(RULES))
    return Kept(decide, subscription_state.evolve, Record(record, record, {}))


def added(name: str = "ministry", hears: Hears | None = None, **changes: Any) -> Kept:
    """A subscription that stands."""
    return subscription(name).hear(add(name, hears=hears or {"when": {}}, **changes))


def left_address(subscriber: str, address: str) -> Kept:
    """The record of an address from which a subscriber of the partners file is gone."""
    kept = subscription()
    kept.record = Record(IDS.left(subscriber, address), "", {})
    return kept.hear(Left(subscriber))


def begin(when: Mapping[str, Sequence[str]], **changes: Any) -> Begin:
    """What begins a silence of an hour."""
    said: dict[str, Any] = {
        "author": "AUTHOR-MARK",
        "reason": "REASON-MARK",
        "until": text_of(NOW + timedelta(hours=1)),
    }
    return Begin(when, **(said | changes))


def silence(name: str = "one") -> Kept:
    """The record of a silence that nobody has begun."""
    record = IDS.silence(name)
    return Kept(silences.decide_by(RULES.can_only_be_never_held), silences.evolve, Record(record, record, {}))
