"""A case and its story, for tests: opened from a letter, told of updates, rung by its clocks; no servers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from services.router.domain import Rules, decide_by, evolve
from services.router.domain.clocking import Tick
from services.router.domain.opening import split
from services.router.domain.updating import Heard, Rejection, Unanswerable
from shared import topics
from shared.decisions import Decision, Message
from shared.events import Draft, Event
from shared.ids import Ids
from shared.law import load_law
from shared.life_cycle import load_life_cycle
from shared.payloads import LetterReceived
from shared.records import Record
from shared.sealing import Sealer

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 10, 8, tzinfo=UTC)
IDS = Ids(b"k" * 32)
SEALER = Sealer(b"s" * 32)

SERVICE, MINISTRY, DESK = "security-service", "justice-ministry", "desk"


@cache
def rules() -> Rules:
    """The rules under the first law, with the Convention in force."""
    law = load_law(ROOT / "laws/azerbaijan.yaml", [ROOT / "laws/assumptions/in-force.yaml"])
    return Rules(law, load_life_cycle(ROOT / "life-cycle.yaml", law), IDS)


def letter(type: str, **changed: Any) -> LetterReceived:
    """An accepted letter with one measure that says all it must, unless told otherwise."""
    by = rules()
    contents = changed.pop("contents", None)
    if contents is None:
        contents = {one.word: "said" for one in by.law.required(type, START.date()) if one.pointer is None}
    sent = {
        "reference": changed.pop("reference", "FR-1"),
        "party": "FR",
        "direction": changed.get("direction", "incoming"),
        "channel": changed.get("channel", "24/7"),
        "language": "fr",
        "sent_at": "2026-03-10T08:00:00Z",
        "urgency": changed.get("urgency", "normal"),
        "urgency_reason": "said",
        "treaty_basis": ["uncc"],
        "contact": {"authority": "said", "officer": "said", "phone": "said"},
        "confidential": True,
        "measures": [{"type": type, "contents": contents}],
        **changed.pop("content", {}),
    }
    return LetterReceived.model_validate(
        {
            "letter": changed.pop("letter", "let_1"),
            "agency": "contact-point",
            "received_at": START.isoformat(),
            "party": "FR",
            "direction": "incoming",
            "channel": "24/7",
            "urgency": "normal",
            "lane": "normal",
            "digest": "0" * 64,
            "measures": [{"measure": 1, "type": type}],
            **changed,
            "content": sent,
        }
    )


@dataclass
class Case:
    """One case, with the time that passes and what it answered last."""

    record: Record
    now: datetime = START
    by: Rules = field(default_factory=rules)
    said: Sequence[Draft] = ()
    rejection: Mapping[str, Any] | None = None
    _count: int = 0

    @classmethod
    def open(cls, type: str = "stored_data_access", *, status: str | None = None, **changed: Any) -> "Case":
        """A case of a letter; `status` puts it there by hand."""
        (message,) = split(letter(type, **changed), "opening", IDS)
        case = cls(Record(message.record, message.record, message.context))
        case._hear(message)
        if status is not None:
            case.record.state = {**case.record.state, "status": status}
        return case

    def held_by(self, authority: str, status: str) -> "Case":
        """Put it by hand where no story of a few words would bring it."""
        self.record.state = {**self.record.state, "authority": authority, "status": status}
        self.record.sent.setdefault(topics.cases_of(authority, self.record.state["lane"]), 0)
        return self

    @property
    def state(self) -> Mapping[str, Any]:
        """The state as it stands."""
        return self.record.state

    @property
    def status(self) -> str:
        """The status."""
        return str(self.record.state["status"])

    def told(
        self,
        update: str,
        by: str | None = None,
        *,
        role: Literal["authority", "agency", "gateway"] = "authority",
        **fields: Any,
    ) -> "Case":
        """An update: from its holder unless told otherwise."""
        return self._hear(self._message(Heard(self.by.life.read(update, fields), by or self.state["authority"], role)))

    def passes(self, **span: float) -> "Case":
        """Time passes, and every clock that comes due rings at its time."""
        until = self.now + timedelta(**span)
        while (due := self.state.get("next_due")) is not None and datetime.fromisoformat(due) <= until:
            self.now = max(self.now, datetime.fromisoformat(due))
            for clock in self.state["clocks"]:
                if clock["steps"] and clock["steps"][0][0] == due and "stopped_at" not in clock:
                    self._hear(
                        Message(self.record.id, f"clock/{clock['clock']}/{due}", "clock", Tick(clock["clock"], due))
                    )
                    break
        self.now = until
        return self

    def hear(self, body: Any) -> "Case":
        """Anything else that can be said to it."""
        return self._hear(self._message(body))

    @property
    def types(self) -> list[str]:
        """The types of what followed from the last message."""
        return [draft.type for draft in self.said]

    @property
    def history(self) -> Sequence[Event]:
        """All events."""
        return self.record.fresh

    def _message(self, body: Any) -> Message:
        self._count += 1
        return Message(self.record.id, f"cause-{self._count}", "somebody", body)

    def _hear(self, message: Message) -> "Case":
        self.record.history = []
        try:
            self._take(decide_by(self.by)(self.record, message, self.now), message)
        except Unanswerable as refused:
            self.said, self.rejection = (), refused.data
        return self

    def _take(self, decision: Decision, message: Message) -> None:
        self.said = decision.events
        self.rejection = decision.reply.data if isinstance(decision.reply, Rejection) else None
        for draft in decision.events:
            self.record.append(draft, by=message.by, cause=message.cause, now=self.now, evolve=evolve, sealer=SEALER)
