"""The script: what each role says when it hears what. Rules are tried in order, and the first that matches answers.

script = load_script(Path("samples/authorities.yaml"))
rule = match(script["desk"], {"event": "case.assigned", "lane": "urgent"})
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from shared.times import read, text_of
from shared.yaml_file import Id, Strict, Tree, Words, YamlFile, read_yaml

Facts = Mapping[str, str]
"""What is known of an event and its case, in words: `true` and `false` for what is or is not so."""

NOW = "now"
_OWN = ("after", "say")
_UNITS = ("second", "minute", "hour", "day")
_SPAN = re.compile(rf"(\d+(?:\.\d+)?) ({'|'.join(_UNITS)})s?")
_PLACE = re.compile(rf"\{{([a-z_]+)(?: ([+-]) (\d+) ({'|'.join(_UNITS)})s?)?\}}")
_FLAGS = {"true": True, "false": False}


class Step(Strict):
    """One thing that is said, so long after the one before it."""

    after: Words
    say: Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
    fields: Mapping[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def fields_stand_beside(cls, read: Any) -> Any:
        """In the file the fields stand beside `after` and `say`, as they do in an update."""
        if not isinstance(read, dict):
            return read
        own = {name: read[name] for name in _OWN if name in read}
        return {"after": "0 seconds", **own, "fields": {n: v for n, v in read.items() if n not in _OWN}}

    @property
    def pause(self) -> timedelta:
        """How long it waits."""
        return _span(self.after)


class Rule(Strict):
    """When it applies, and what is said then: for each case once; `once`: for one case only."""

    name: Words
    when: Mapping[Words, tuple[str, ...]]
    then: tuple[Step, ...] = ()
    once: bool = False

    def matches(self, facts: Facts) -> bool:
        """Whether every fact that it names has one of the values it names; an unknown fact has none."""
        return all(facts.get(name) in values for name, values in self.when.items())


class _Script(Strict):
    roles: Mapping[Id, tuple[Rule, ...]]


Script = Mapping[str, Sequence[Rule]]
"""The rules of each role, in order."""


def load_script(path: Path) -> Script:
    """The script in this file; raises `BadStart` with one sentence."""
    file = read_yaml(path)
    lines = {("roles", *place): line for place, line in file.lines.items()}
    wrapped = YamlFile(file.path, file.content, {"roles": file.tree}, {(): 1, **lines})
    roles = wrapped.typed(_Script).roles
    for role, rules in roles.items():
        names: set[str] = set()
        for number, rule in enumerate(rules):
            if rule.name in names:
                raise wrapped.bad(("roles", role, number), f"a rule '{rule.name}' stands here for the second time")
            names.add(rule.name)
            for place, step in enumerate(rule.then):
                if not _SPAN.fullmatch(step.after):
                    where = ("roles", role, number, "then", place, "after")
                    raise wrapped.bad(where, f"'after' must be like '2 seconds', not '{step.after}'")
    return roles


def match(rules: Sequence[Rule], facts: Facts) -> Rule | None:
    """The first rule that matches."""
    return next((rule for rule in rules if rule.matches(facts)), None)


def filled(value: Tree, facts: Facts, now: datetime) -> Any:
    """A field with its places filled in: `{now}`, `{now + 60 days}`, `{until}` or any other fact; unknown ones stay."""
    if isinstance(value, dict):
        return {name: filled(one, facts, now) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, facts, now) for one in value]
    if value in _FLAGS:
        return _FLAGS[value]
    known = {**facts, NOW: text_of(now)}
    return _PLACE.sub(lambda place: _said(place, known), value)


def _said(place: re.Match[str], known: Facts) -> str:
    name, sign, number, unit = place.groups()
    if name not in known:
        return place[0]
    if sign is None:
        return known[name]
    span = _span(f"{number} {unit}")
    return text_of(read(known[name]) + (span if sign == "+" else -span))


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    return timedelta(**{f"{found[2]}s": float(found[1])}) if found else timedelta()
