"""The life cycle as data: which update is possible in which status, by whom, with which fields; checked whole.

life = load_life_cycle(Path("life-cycle.yaml"), law)
update = life.read("refused", {"grounds": ["sovereignty"], "reasons": "..."})
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from shared.bad_letter import FieldError, in_our_words
from shared.events import ANSWERS, UPDATES
from shared.failures import BadStart, NeverWill
from shared.law import Law
from shared.life_cycle_fields import SEALED, Kind, model_of, open_value
from shared.vocabulary import DESK, Direction, Urgency
from shared.yaml_file import Place, Strict, Words, YamlFile, did_you_mean, quoted, read_yaml

SAME, BEFORE = "same", "before"
"""Where a row leads beside a status: nowhere, or back to the status before a consultation or a postponement."""

Actor = Literal["holder", "desk", "agency", "gateway"]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class FieldText(Strict):
    """One field of an update."""

    kind: Kind
    says: Words
    need: Literal["required", "optional"] = "optional"
    of: Literal["executing_bodies", "grounds", "outcomes", "authorities", "types", "urgencies"] | None = None
    one_of: tuple[Words, ...] = ()


class Row(Strict):
    """From which statuses an update leads where, and what must hold."""

    since: Annotated[tuple[Words, ...], Field(alias="from", min_length=1)]
    to: Words
    guards: tuple[Words, ...] = ()
    tells: Words | None = None
    """Where it tells something else than the update does from other statuses."""


class UpdateText(Strict):
    """One update: who may say it, what it says, where it leads, what the sender is told."""

    says: Words
    by: Annotated[tuple[Actor, ...], Field(min_length=1)]
    fields: Mapping[Word, FieldText] = {}
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    tells: Words | None = None
    message: Word | None = None
    direction: Direction | None = None
    cycle: tuple[Literal["preservation", "arrest", "appearance"], ...] | None = None
    """For which kinds of cases alone, as the law file has them."""
    happened_at: Word | None = None
    """The field that says when it happened, where that is not now: clocks that start with it start then."""
    reassigns: bool = False


class Guard(Strict):
    """Something that must hold, in the words that a rejection says."""

    says: Words
    basis: tuple[Words, ...]


class _Text(Strict):
    version: Words
    statuses: Mapping[Word, Words]
    ends: tuple[Word, ...]
    groups: Mapping[Words, tuple[Word, ...]]
    guards: Mapping[Words, Guard]
    updates: Mapping[Word, UpdateText]


@dataclass(frozen=True, slots=True)
class Update:
    """An update as it was read: what every reader may see, and what is sealed."""

    name: str
    open: Mapping[str, Any]
    sealed: Mapping[str, Any]


class BadUpdate(NeverWill):
    """An update that cannot be read: each bad field by its pointer."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        """`errors`: never empty, never with a value from the update."""
        self.errors = errors
        super().__init__("; ".join(f"{error.pointer or 'the update'}: {error.detail}" for error in errors[:5]))


@dataclass(frozen=True)
class UpdateRule:
    """An update and its rows by status."""

    name: str
    text: UpdateText
    model: type[BaseModel]
    rows: Mapping[str, Row]

    def is_for(self, direction: str, cycle: str | None) -> bool:
        """Whether cases of this direction and cycle know the update at all."""
        if self.text.direction and self.text.direction != direction:
            return False
        return self.text.cycle is None or cycle in self.text.cycle


@dataclass(frozen=True)
class LifeCycle:
    """The checked table, ready to answer."""

    version: str
    statuses: Mapping[str, str]
    ends: frozenset[str]
    guards: Mapping[str, Guard]
    updates: Mapping[str, UpdateRule]
    messages: Mapping[str, str]
    """How agencies call an update on their letter, and which one it is."""

    def read(self, name: str, fields: Mapping[str, Any]) -> Update:
        """The update of this name with its fields; raises `BadUpdate`."""
        if (rule := self.updates.get(name)) is None:
            hint = did_you_mean(name, self.updates) if name.isascii() else ""
            raise BadUpdate((FieldError("/update", f"Is not a known update{hint}."),))
        try:
            read = rule.model.model_validate(dict(fields))
        except ValidationError as error:
            found = in_our_words(error.errors(include_url=False, include_input=False))
            raise BadUpdate(tuple(found)) from None
        given = {field: value for field, value in read.model_dump().items() if value is not None}
        kinds = {field: rule.text.fields[field].kind for field in given}
        return Update(
            name,
            {field: open_value(value) for field, value in given.items() if kinds[field] not in SEALED},
            {field: value for field, value in given.items() if kinds[field] in SEALED},
        )

    def allowed(self, status: str, actors: Collection[str], direction: str, cycle: str | None) -> list[str]:
        """What these actors could say now; guards may still forbid it."""
        return [
            name
            for name, rule in self.updates.items()
            if status in rule.rows and rule.is_for(direction, cycle) and not actors.isdisjoint(rule.text.by)  # type: ignore[attr-defined]
        ]


def load_life_cycle(path: Path, law: Law) -> LifeCycle:
    """The life cycle of a file, for the codes of a law; raises `BadStart` with one sentence."""
    file = read_yaml(path)
    text = file.typed(_Text)
    _check_statuses(file, text)
    codes = _codes(law)
    rules: dict[str, UpdateRule] = {}
    messages: dict[str, str] = {}
    for name, update in text.updates.items():
        _check_update(file, text, name, update, messages)
        rows = {status: row for row in reversed(update.rows) for status in _statuses_of(text, row.since)}
        fields = {
            field: (one.kind, one.need == "required", one.one_of or codes.get(one.of or "", ()), one.says)
            for field, one in update.fields.items()
        }
        rules[name] = UpdateRule(name, update, model_of(name, fields), rows)
    _check_clocks(path, law, rules)
    return LifeCycle(text.version, text.statuses, frozenset(text.ends), text.guards, rules, messages)


BESIDE_UPDATES = ("opened", "follow_up_decided")
"""What clocks can start and stop with beside an update: the receipt, and the end of a request that followed."""
_OF_THE_LETTER = ("requested_deadline",)


def _check_clocks(path: Path, law: Law, rules: Mapping[str, UpdateRule]) -> None:
    """A clock of the law that waits for a word that nobody says would never start, or never stop."""
    words = [*rules, *BESIDE_UPDATES]
    moments = [f for rule in rules.values() for f, one in rule.text.fields.items() if one.kind == "moment"]
    for name, clock in law.text.clocks.items():
        for span in clock.versions:
            for word in (span.starts, *span.stops):
                if word not in words:
                    hint = did_you_mean(word, words)
                    raise BadStart(f"law {law.name}: the clock '{name}' waits for '{word}', no update of {path}{hint}")
            if span.ends is not None and span.ends not in (*moments, *_OF_THE_LETTER):
                hint = did_you_mean(span.ends, [*moments, *_OF_THE_LETTER])
                raise BadStart(f"law {law.name}: the clock '{name}' ends at '{span.ends}', no moment of {path}{hint}")


def _codes(law: Law) -> Mapping[str, tuple[str, ...]]:
    return {
        "executing_bodies": tuple(law.executing_bodies),
        "grounds": tuple(law.text.refusal_grounds),
        "outcomes": tuple(law.text.outcomes),
        "authorities": (*law.authorities, DESK),
        "types": tuple(law.request_types),
        "urgencies": tuple(Urgency),
    }


def _check_statuses(file: YamlFile, text: _Text) -> None:
    for number, status in enumerate(text.ends):
        _known(file, ("ends", number), status, text.statuses, "status")
    for name, statuses in text.groups.items():
        if name in text.statuses:
            raise file.bad(("groups", name), f"{quoted(name)} is the name of a status already")
        for number, status in enumerate(statuses):
            _known(file, ("groups", name, number), status, text.statuses, "status")


def _check_update(file: YamlFile, text: _Text, name: str, update: UpdateText, messages: dict[str, str]) -> None:
    place: Place = ("updates", name)
    _known(file, place, name, UPDATES, "update among the event types")
    if update.tells is not None:
        _known(file, (*place, "tells"), update.tells, ANSWERS, "answer")
    if update.message is not None:
        if update.message in messages:
            raise file.bad((*place, "message"), f"{quoted(update.message)} is the message of another update already")
        if not {"agency", "gateway"} & {*update.by}:
            raise file.bad((*place, "message"), "a message is for agencies and gateways: 'by' names neither")
        messages[update.message] = name
    taken: set[str] = set()
    for number, row in enumerate(update.rows):
        where: Place = (*place, "rows", number)
        for word in row.since:
            _known(file, (*where, "from"), word, [*text.statuses, *text.groups], "status or group")
        _known(file, (*where, "to"), row.to, [*text.statuses, SAME, BEFORE], "status")
        if row.tells is not None:
            _known(file, (*where, "tells"), row.tells, ANSWERS, "answer")
        for guard in row.guards:
            _known(file, (*where, "guards"), guard, text.guards, "guard")
        statuses = {*_statuses_of(text, row.since)}
        if statuses <= taken:
            raise file.bad(where, f"this row of '{name}' can never hold: the rows before it name all its statuses")
        taken |= statuses
    if update.happened_at is not None:
        moments = [field for field, one in update.fields.items() if one.kind == "moment"]
        _known(file, (*place, "happened_at"), update.happened_at, moments, "field of kind moment")
    for field, one in update.fields.items():
        if one.kind in ("code", "codes") and not (one.of or one.one_of):
            raise file.bad((*place, "fields", field), f"{quoted(field)} does not say of which codes it is one")


def _statuses_of(text: _Text, words: tuple[str, ...]) -> Iterator[str]:
    for word in words:
        yield from text.groups.get(word, (word,))


def _known(file: YamlFile, place: Place, word: str, known: Collection[str], what: str) -> None:
    if word not in known:
        raise file.bad(place, f"there is no {what} {quoted(word)}{did_you_mean(word, known)}")
