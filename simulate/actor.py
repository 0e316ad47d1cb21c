"""One role at work: it hears events, remembers what it was told of each case, and knows what to say next. No I/O."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from shared.envelope import Envelope
from shared.events import LETTER_MESSAGE, schema_of
from shared.times import read
from shared.vocabulary import Lane
from simulate.roles import Role
from simulate.script import Facts, Rule, filled, match

_UPDATE = "update."
_OF_ONE_EVENT = frozenset({"event", "update", "message", "rule", "says", "id"})
_SPACE = uuid.UUID("5d0c2f7e-6a3f-5f0e-9f51-7d1c6f2f3a10")


@dataclass(frozen=True, slots=True)
class Part:
    """What a rule makes a role say about one case, step by step."""

    rule: Rule
    name: str
    """Under which of its names the role says it."""
    subject: str
    """The case, or the letter where it is an agency that speaks."""
    facts: Facts


@dataclass(frozen=True, slots=True)
class Saying:
    """One thing said, as a Kafka record."""

    topic: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes
    line: str
    """The same for people."""


class Actor:
    """One role with its script and its memory."""

    def __init__(self, role: Role, rules: Sequence[Rule]) -> None:
        """Nothing is known yet."""
        self.role, self._rules = role, rules
        self._sequences: dict[tuple[str, str], str] = {}
        self._known: dict[str, dict[str, str]] = defaultdict(dict)
        self._played: set[tuple[str, str]] = set()
        self._said: Counter[tuple[str, str]] = Counter()
        self._answered: Counter[tuple[str, str]] = Counter()
        self._latest: tuple[datetime, float] | None = None

    def hear(self, topic: str, event: Envelope, moment: float) -> Part | None:
        """What is to be said to this event; None for nothing, and for one that was heard before.

        `moment`: of the monotonic clock.
        """
        data = orjson.loads(event.data)
        letter, case = data.get("letter"), data.get("case")
        subject = case if self.role.is_authority else letter
        if not subject or self._is_old(topic, event):
            return None
        self._note_time(event, moment)
        facts = facts_of(event.type, data)
        self._answered[subject, facts.get("update" if self.role.is_authority else "message", "")] += 1
        known = self._remember(letter, case, facts, data)
        rule = match(self._rules, known)
        if rule is None or not rule.then or not self._may_play(rule, case or letter):
            return None
        return Part(rule, self.role.hears[topic], subject, {**known, "short": subject[-6:]})

    def say(self, part: Part, number: int, moment: float) -> Saying:
        """One of its steps in words, under an id that is the same however often it is said."""
        step = part.rule.then[number]
        fields = filled(dict(step.fields), part.facts, self.now(moment))
        lane = Lane(part.facts.get("lane", Lane.NORMAL))
        if self.role.is_authority:
            kind, body = f"{_UPDATE}{step.say}", {"case": part.subject, **fields}
        else:
            measures = [int(part.facts["measure"])] if "measure" in part.facts else None
            kind, body = LETTER_MESSAGE, {"message": step.say, "letter": part.subject, "measures": measures, **fields}
        about = "/".join((part.name, part.facts.get("case", ""), part.subject, part.rule.name, str(number)))
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(uuid.uuid5(_SPACE, about)),
            "ce_source": f"/simulate/{part.name}",
            "ce_type": kind,
            "ce_dataschema": schema_of(kind),
            "content-type": "application/json",
        }
        self._said[part.subject, step.say] += 1
        line = f"{part.name}  {part.facts.get('reference', part.subject)}  {step.say}"
        return Saying(
            self.role.speaks_on(part.name, lane),
            part.subject.encode(),
            [(name, text.encode()) for name, text in headers.items()],
            orjson.dumps({name: value for name, value in body.items() if value is not None}),
            line,
        )

    def is_answered(self, subjects: Collection[str] | None = None) -> bool:
        """Whether everything that it has said of these cases and letters, or of any, was taken or rejected."""
        return all(
            self._answered[about, word] >= count
            for (about, word), count in self._said.items()
            if subjects is None or about in subjects
        )

    def now(self, moment: float) -> datetime:
        """The time that events tell, which may be a simulated one, carried on since the latest of them."""
        if self._latest is None:
            raise LookupError("nothing was heard yet")
        at, since = self._latest
        return at + timedelta(seconds=moment - since)

    def _is_old(self, topic: str, event: Envelope) -> bool:
        """Whether it is no later than what was heard of the same record: Kafka says things again after a failure."""
        record, sequence = (topic, event.source), event.attributes.get("sequence", "")
        if sequence and sequence <= self._sequences.get(record, ""):
            return True
        self._sequences[record] = sequence
        return False

    def _note_time(self, event: Envelope, moment: float) -> None:
        at = read(event.attributes["time"])  # every event of ours has one
        if self._latest is None or at >= self.now(moment):
            self._latest = (at, moment)

    def _remember(
        self, letter: str | None, case: str | None, facts: Mapping[str, str], data: Mapping[str, Any]
    ) -> Facts:
        """The event's facts on top of what is known of its letter and its case."""
        passing = _OF_ONE_EVENT | (data.get("said") or {}).keys()
        self._known[case or letter or ""] |= {name: fact for name, fact in facts.items() if name not in passing}
        return {**self._known.get(letter or "", {}), **self._known.get(case or "", {}), **facts}

    def _may_play(self, rule: Rule, subject: str) -> bool:
        played = (rule.name, "" if rule.once else subject)
        if played in self._played:
            return False
        self._played.add(played)
        return True


def facts_of(kind: str, data: Mapping[str, Any]) -> dict[str, str]:
    """What an event says, in words: its plain members, those of what was said, and whether anything is missing."""
    facts = {"event": kind}
    content = data.get("content") or {}
    for source in (data, data.get("said") or {}):
        facts |= {name: _word(value) for name, value in source.items() if isinstance(value, str | int | float)}
    if isinstance(content, dict) and isinstance(content.get("reference"), str):
        facts["reference"] = content["reference"]
    if "missing" in data:
        facts["missing"] = _word(bool(data["missing"]))
    if kept := data.get("preservation"):
        facts["phase"] = kept["phase"]
    return facts


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
