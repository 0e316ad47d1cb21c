"""schemathesis, run over a service as one who calls: every operation of its document, and what came of each try."""

import itertools
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema

Config = dict[str, Any]

REFUSALS = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429)
CHECKS: Config = {
    # Those that are on by themselves stay so; these two would otherwise take a 5xx for an answer.
    "negative_data_rejection": {"expected-statuses": [*REFUSALS]},
    "positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 429]},
}
BEYOND_A_SCHEMA = (
    # What depends on other fields, or on how much of them is null.
    r"The letter has no such attachment\.",
    r"Another attachment has this name\.",
    r"The letter has no such measure\.",
    r"Is for (a webhook|what people read): leave it out, .*",
    r"Must have at least 1 entry\.",
    r"Say why: only a dry run needs no reason\.",
    r"Say for which measures: each authority sees only its own\.",
    # What depends on the alerts file, or on a parser of addresses.
    r"Is no \w+ that there can be.*",
    r"Is no audience of the alerts file.*",
    r"Must be one e-mail address.*",
    r"It is no address like https://host/\.\.\.",
    # What depends on the time, or has a range that `format` cannot have.
    r"Must be a time to come.*",
    r"Is no place in an asking of the last hour: ask without it\.",
    r"Must lie between the years 1970 and 9998\.",
    r"Must be a time span such as 10 minutes, at most 1 day\.",
    # What JSON Schema takes for an integer: 94.0.
    r"Must be a whole number\.",
    r"Must be the number of a measure, from 1\.",
    # What a case has room for.
    r"Cannot be kept: too many rejected updates\.",
    # What holds for every text and every number.
    r"Holds the character U\+0000\.",
    r"Must be a number no larger than .*",
    r"Must be text of at most 200 characters\.",
)
"""Why data may be refused that keep to their schema: what no schema can say. Each is a sentence of a problem."""
_BEYOND = re.compile("|".join(f"(?:{one})" for one in BEYOND_A_SCHEMA))


@dataclass
class Tried:
    """What came of a run."""

    statuses: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    """How often each operation answered with each status."""
    failures: dict[str, str] = field(default_factory=dict)
    """What some check did not like, each once, with how to repeat it."""
    beyond: int = 0
    """Refusals for what no schema can say."""

    @property
    def inputs(self) -> int:
        """Requests that were answered."""
        return sum(of_it.total() for of_it in self.statuses.values())

    def says(self) -> str:
        """The statuses of all operations together."""
        together: Counter[int] = sum(self.statuses.values(), Counter())
        return ", ".join(f"{status}: {count:,}" for status, count in sorted(together.items()))


@dataclass
class There:
    """What is there, so that some inputs of every operation meet it: chance alone finds no id, and no time to come."""

    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By the name of a path's parameter. Every second one is for what takes something away."""
    bodies: Mapping[str, Callable[[int], Config]] = field(default_factory=dict)
    """By operation, a body that is taken; it is given a number."""


THERE = There()
_OFTEN = 0.4
_TAKES_AWAY = re.compile(r"DELETE .*|.*/discard")


def _meet(case: "schemathesis.Case[Any]", number: int) -> None:
    label = case.operation.label
    if case.meta is None or not case.meta.is_negative_at(ParameterLocation.PATH):
        for name in case.path_parameters.keys() & THERE.ids.keys():
            found = THERE.ids[name][bool(_TAKES_AWAY.fullmatch(label)) :: 2]
            case.path_parameters = {**case.path_parameters, name: found[number % len(found)]}
    if label in THERE.bodies and (case.meta is None or not case.meta.generation.mode.is_negative):
        case.body = THERE.bodies[label](number)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: "schemathesis.Case[Any]", kwargs: Config) -> None:
    """Let some inputs meet what is there; and give every letter a reference and every update an id of its own.

    The same one again would get the answer of before.
    """
    number = next(_NUMBERS)
    if random.Random(number).random() < _OFTEN:  # in no step with what schemathesis makes in turn
        _meet(case, number)
    if isinstance(case.body, dict):
        said = {name: case.body.get(name) for name in ("reference", "id")}
        fresh = {
            name: f"{text[:150]} {next(_NUMBERS)}"
            for name, text in said.items()
            if isinstance(text, str) and _LIKE_OURS.fullmatch(text)
        }
        case.body = {**case.body, **fresh}


_LIKE_OURS = re.compile(r"[!-~][ -~]{0,198}[!-~]|[!-~]")
_NUMBERS = itertools.count()


def tried(
    document: Mapping[str, Any], url: str, token: str | None, config: Config, meanwhile: Callable[[int], None]
) -> Tried:
    """Try every operation of a document at this address, with a token or without.

    `meanwhile` is told again and again how many inputs there were.
    """
    auth = {"auth": {"openapi": {"bearer": {"bearer": token}}}} if token else {}
    whole = {
        "base-url": url,
        "continue-on-failure": True,
        "cache": {"enabled": False},
        "request-timeout": 30,
        "warnings": False,
        "checks": CHECKS,
        **auth,
        **config,
    }
    schema = schemathesis.openapi.from_dict(dict(document), config=schemathesis.Config.from_dict(whole))
    made = Tried()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _count(event.recorder, made)
            meanwhile(made.inputs)
        elif isinstance(event, events.NonFatalError):
            made.failures.setdefault(f"{event.label}: {event.info.title}", event.info.message)
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.EngineFinished):
            made.failures |= {f"the run: {one.title}": one.message for one in event.failures}
    return made


def _count(recorder: Any, made: Tried) -> None:
    for case_id, interaction in recorder.interactions.items():
        if interaction.response:
            made.statuses[recorder.cases[case_id].value.operation.label][interaction.response.status_code] += 1
    for case_id, checks in recorder.checks.items():
        response = recorder.interactions[case_id].response if case_id in recorder.interactions else None
        for check in (one for one in checks if one.failure_info is not None):
            if check.name == "positive_data_acceptance" and response and _is_beyond(response):
                made.beyond += 1
                continue
            said = f"{response.status_code} {response.text[:1_000]}" if response else "no answer"
            what = (
                f"{recorder.cases[case_id].value.operation.label}: {check.name}: {check.failure_info.failure.message}"
            )
            made.failures.setdefault(what + _without_numbers(said), f"{said}\n{check.failure_info.code_sample}")


def _is_beyond(response: schemathesis.Response) -> bool:
    """Whether a refusal names nothing else than what no schema can say."""
    errors: list[dict[str, str]] = response.json().get("errors", []) if response.status_code == 422 else []
    return bool(errors) and all(_BEYOND.fullmatch(error["detail"]) for error in errors)


def _without_numbers(said: str) -> str:
    """So that a thousand refusals of the same kind are shown once."""
    return "\n" + re.sub(r"\d+", "N", said[:300])
